import { oneLine } from "../../base/mod.ts";
import { O, type System } from "../../ffi/mod.ts";

/** Limit of a line on the console, in characters, so that the log stays readable. */
const LINE_CHARACTERS_MAX = 2_000;
/** Needs no cleaning, whose regular expressions are slow to compile: not on the way to ready. */
const PLAIN = /^[ -~]*$/;

/** The guest's console, which the shim keeps in its log directory. Little is written to it. */
export interface Console {
  /** Writes one line `vminitd: …`. Never throws: nobody could be told. */
  log(message: string): void;
  /** Writes `text` as it is. Never throws. */
  raw(text: string): void;
}

/** Opens `path` for each write, so that a hang-up of the console costs only one line. */
export function openConsole(system: System, path: string = "/dev/console"): Console {
  const raw = (text: string): void => {
    try {
      const fd = system.open(path, O.WRONLY | O.NOCTTY | O.CLOEXEC);
      using undo = new DisposableStack();
      undo.defer(() => system.close(fd));
      system.write(fd, new TextEncoder().encode(text));
    } catch {
      // Without a console there is no place left to report this.
    }
  };
  return { raw, log: (message) => raw(`vminitd: ${lineOf(message)}\n`) };
}

function lineOf(message: string): string {
  const isPlain = message.length <= LINE_CHARACTERS_MAX && PLAIN.test(message);
  return isPlain ? message : oneLine(message, LINE_CHARACTERS_MAX);
}
