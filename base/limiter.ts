/** Lets only so many do something at a time; the others wait in the order in which they came. */
export class Limiter {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= this.#max) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#busy++;
    try {
      return await work();
    } finally {
      // Whoever waits longest takes over the place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
