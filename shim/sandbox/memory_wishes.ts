import { after } from "../../base/mod.ts";

/** Shortest time between two wishes that are passed on: each is a command to QEMU. */
const PERIOD_MS = 100;

/**
 * Passes on how much memory a guest asks for, at most ten times a second. Of the wishes between,
 * only the last one counts.
 */
export class MemoryWishes implements Disposable {
  readonly #pass: (mib: number) => void;
  #waiting: number | null = null;
  #timer: Disposable | null = null;

  constructor(pass: (mib: number) => void) {
    this.#pass = pass;
  }

  /** Takes a wish, in MiB. */
  take(mib: number): void {
    this.#waiting = mib;
    if (this.#timer === null) this.#next();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #next(): void {
    const mib = this.#waiting;
    this.#waiting = null;
    this.#timer = mib === null ? null : after(PERIOD_MS, () => this.#next());
    if (mib !== null) this.#pass(mib);
  }
}
