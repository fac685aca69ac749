/** What several tests of this folder need. */
import type { Logger } from "../base/log.ts";

/** A logger that keeps its lines as `level: message`. */
export class MemoryLog implements Logger {
  readonly lines: string[] = [];

  debug(message: string): void {
    this.lines.push(`debug: ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info: ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn: ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error: ${message}`);
  }

  /** What was logged at one level. */
  at(level: "debug" | "info" | "warn" | "error"): string[] {
    return this.lines.filter((line) => line.startsWith(`${level}: `))
      .map((line) => line.slice(level.length + 2));
  }
}

/** A folder of its own for one test, removed with everything in it at the end of the scope. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ prefix: "qemubox-shim-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

export { isThere as exists } from "../../ffi/mod.ts";

/** The files below a folder that this process has open. */
export function openBelow(folder: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      return []; // The one that lists the others.
    }
  });
}

const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

/** Lets everything run that can run without waiting for the outside. */
export async function settle(): Promise<void> {
  // A timer's turn comes after all microtasks of the turns before it.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => realSetTimeout(resolve, 0));
}

/** Timers that run when the test says so, until the end of the scope. */
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

  /** Timers that are set and have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time go by, and everything happen that happens in it. */
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
