/** Doubles and helpers that tests of several rooms share. @module */
import { type LogFields, type Logger, requireLogKeys } from "../base/log.ts";

/** A logger that keeps its lines as `level: message key=value`. */
export class MemoryLog implements Logger {
  readonly lines: string[] = [];

  debug(message: string, fields?: LogFields): void {
    this.#keep("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#keep("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#keep("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#keep("error", message, fields);
  }

  #keep(level: string, message: string, fields: LogFields = {}): void {
    requireLogKeys(fields);
    const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${value}`);
    this.lines.push(`${level}: ${message}${pairs.join("")}`);
  }

  /** Returns the lines of one level, without it. */
  at(level: "debug" | "info" | "warn" | "error"): string[] {
    return this.lines.filter((line) => line.startsWith(`${level}: `))
      .map((line) => line.slice(level.length + 2));
  }
}

/** Makes a directory that is removed with everything in it at the end of the scope. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ prefix: "qemubox-shim-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

export { isThere as exists } from "../../base/mod.ts";

/** Returns the files below a directory that this process has open. */
export function openBelow(directory: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      return []; // The descriptor that lists the others.
    }
  });
}

const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

/** Runs everything that can run without waiting for another process. */
export async function settle(): Promise<void> {
  // A timer's turn comes after all microtasks of the turns before it.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => realSetTimeout(resolve, 0));
}

/** Timers that run only when the test advances the clock, until the end of the scope. */
export class ManualClock implements Disposable {
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  #now = 0;
  #last = 0;

  constructor() {
    globalThis.setTimeout = ((run: () => void, ms = 0) => {
      this.#timers.set(++this.#last, { at: this.#now + ms, run });
      return this.#last;
    }) as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => void this.#timers.delete(id)) as typeof clearTimeout;
  }

  /** Number of timers that are set and have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves the clock by `ms`, and runs everything that is due by then. */
  async advance(ms: number): Promise<void> {
    this.#now += ms;
    for (const [id, { at, run }] of [...this.#timers]) {
      if (at > this.#now || !this.#timers.delete(id)) continue;
      run();
    }
    await settle();
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = realSetTimeout;
    globalThis.clearTimeout = realClearTimeout;
  }
}
