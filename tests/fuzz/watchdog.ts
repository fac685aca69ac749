/** Notices a parser that never returns, which nothing on its own thread can. */

import { BYTES_MAX, type Target } from "./target.ts";

/** What the watching thread needs. */
export interface Watched {
  readonly name: string;
  readonly seed: number;
  /** Number of the current input, odd while it is parsed; length of it; its bytes. */
  readonly state: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
}

/** A thread that keeps the input and kills this process if one takes a minute. */
export class Watchdog implements Disposable {
  /** The target, whose inputs are watched. */
  readonly target: Target;
  readonly #worker: Worker;

  private constructor(target: Target, worker: Worker) {
    this.target = target;
    this.#worker = worker;
  }

  static over(target: Target, seed: number): Watchdog {
    const bytes = new SharedArrayBuffer(target.bytesMax ?? BYTES_MAX);
    const watched: Watched = {
      ...{ name: target.name, seed, bytes },
      state: new SharedArrayBuffer(8),
    };
    const url = new URL("watchdog_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    worker.postMessage(watched);
    const [state, input] = [new Int32Array(watched.state), new Uint8Array(bytes)];
    const parse = async (given: Uint8Array) => {
      input.set(given);
      Atomics.store(state, 1, given.length);
      Atomics.add(state, 0, 1);
      try {
        return await target.parse(given);
      } finally {
        Atomics.add(state, 0, 1);
      }
    };
    const refuses = (error: unknown) => target.refuses(error);
    return new Watchdog({ ...target, parse, refuses }, worker);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
