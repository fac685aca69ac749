// setTimeout takes 31 bits and fires at once beyond them. 24 days are as good as no deadline.
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Calls `expired` once after `timeoutMs` milliseconds, unless it is disposed first. A timeout of
 * more than 24 days never expires.
 */
export function after(timeoutMs: number, expired: () => void): Disposable {
  if (timeoutMs > TIMER_MS_MAX) return { [Symbol.dispose]() {} };
  const timer = setTimeout(expired, Math.max(0, timeoutMs));
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Limits and errors of `withDeadline`. */
export interface DeadlineOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of an expired deadline. Called when it expires. */
  readonly onTimeout: () => Error;
  /** Makes the error of an aborted `signal`; default: its reason. */
  readonly onAbort?: (reason: unknown) => Error;
}

/**
 * Runs `work` with a signal that aborts at the deadline or with the caller's signal, and waits no
 * longer than that, even if `work` ignores its signal. No timer outlives the call.
 *
 * @throws the error of `onTimeout` or `onAbort`, or what `work` throws.
 */
export async function withDeadline<T>(
  { timeoutMs, signal, onTimeout, onAbort = (reason) => reason as Error }: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const over = Promise.withResolvers<never>();
  over.promise.catch(() => {});
  const giveUp = (error: Error) => {
    over.reject(error);
    controller.abort(error);
  };
  const abort = () => giveUp(onAbort(signal?.reason));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  using _timer = after(timeoutMs, () => giveUp(onTimeout()));
  try {
    if (controller.signal.aborted) return await over.promise;
    const result = work(controller.signal);
    // If the deadline comes first, nothing awaits the work any more.
    result.catch(() => {});
    return await Promise.race([result, over.promise]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Returns whether `promise` resolves within `timeoutMs` milliseconds.
 *
 * @throws the reason if the promise rejects in time.
 */
export async function endsWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  using _timer = after(timeoutMs, () => late.resolve(false));
  return await Promise.race([promise.then(() => true), late.promise]);
}

/** Returns a promise that rejects with the reason of `signal` when it aborts. It never resolves. */
export function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
