/** Runs at most `max` tasks at a time. Others wait in the order of their calls. */
export class Limiter {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Runs `work` when there is room, and returns its result. @throws what `work` throws. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= this.#max) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#busy++;
    try {
      return await work();
    } finally {
      // The longest waiting task takes over the place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
