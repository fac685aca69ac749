/** A lock that is granted in the order of the requests. */
export class FifoLock {
  #held = false;
  readonly #queue: (() => void)[] = [];

  /**
   * Resolves when the caller holds the lock, and must call `release`.
   *
   * @throws the reason of `signal` if it aborts first.
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

  /** Passes the lock to the request that has waited longest. */
  release(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#held = false;
  }
}
