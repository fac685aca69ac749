/** One holder at a time, in the order of asking. */
export class FifoLock {
  #held = false;
  readonly #queue: (() => void)[] = [];

  /**
   * Resolves when the lock is had; then `release` has to be called.
   *
   * @throws the reason of `signal` when it is aborted first.
   */
  acquire(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!this.#held) {
      this.#held = true;
      return Promise.resolve();
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#queue.splice(this.#queue.indexOf(enter), 1);
      reject(signal!.reason);
    };
    const enter = (): void => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    this.#queue.push(enter);
    signal?.addEventListener("abort", abort, { once: true });
    return promise;
  }

  /** Hands the lock to the one who has waited longest. */
  release(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#held = false;
  }
}
