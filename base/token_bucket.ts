/**
 * Limits a rate: holds up to `burst` tokens, and gets `perSecond` new ones. An action takes tokens.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** @param now monotonic time in milliseconds. */
  constructor({ perSecond, burst }: RateLimit, now: () => number = () => performance.now()) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#now = now;
    this.#tokens = burst;
    this.#filledAt = now();
  }

  /** Takes `count` tokens if there are as many. Returns whether there were. */
  take(count = 1): boolean {
    this.#fill();
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes `count` tokens, also those that are not there yet. Returns how long the caller has to
   * wait for them, in milliseconds.
   */
  owe(count = 1): number {
    this.#fill();
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  #fill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
  }
}

/** A rate, and how many may come at once after a quiet time. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}
