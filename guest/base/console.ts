import { O, type System } from "../../ffi/mod.ts";

/** Longest line written to the console, in characters: whatever goes wrong, the log stays readable. */
const LINE_LENGTH_MAX = 2_000;

/** The guest's console: it ends up in the shim's log folder. Little is written to it. */
export interface Console {
  /** Writes one line `vminitd: …`. Never throws: there is nobody to tell. */
  log(message: string): void;
  /** Writes `text` as it is. */
  raw(text: string): void;
}

/** Opens `path` (/dev/console) for each write, so that a hang-up of the console costs one line only. */
export function openConsole(system: System, path: string = "/dev/console"): Console {
  const raw = (text: string): void => {
    try {
      const fd = system.open(path, O.WRONLY | O.NOCTTY | O.CLOEXEC);
      try {
        system.write(fd, new TextEncoder().encode(text));
      } finally {
        system.close(fd);
      }
    } catch {
      // Without a console there is no place left to say so.
    }
  };
  return { raw, log: (message) => raw(`vminitd: ${oneLine(message)}\n`) };
}

/** What an error says, on one line. */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " | ").slice(0, LINE_LENGTH_MAX);
}
