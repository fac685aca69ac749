import { VmError } from "./error.ts";

/** Something that ends: a time, or the caller's patience. */
export interface DeadlineOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The sentence for when the time is over; made then, so that it can tell the latest. */
  readonly onTimeout: () => string;
}

/**
 * Runs `work` with a signal that is aborted at the deadline or with the caller's signal, and waits
 * no longer than that, even if the work ignores it. No timer outlives the call.
 * @throws VmError `timeout` or `cancelled`, or what the work throws.
 */
export async function withDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, timeoutMs, onTimeout } = options;
  const controller = new AbortController();
  const over = Promise.withResolvers<never>();
  const give = (error: VmError) => {
    over.reject(error);
    controller.abort(error);
  };
  const cancel = () => give(new VmError("cancelled", "cancelled by the caller", because(signal)));
  if (signal?.aborted) cancel();
  const timer = setTimeout(() => give(new VmError("timeout", onTimeout())), timeoutMs);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    over.promise.catch(() => {});
    if (controller.signal.aborted) return await over.promise;
    const result = work(controller.signal);
    // When the deadline wins, the work's own end is nobody's any more.
    result.catch(() => {});
    return await Promise.race([result, over.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

function because(signal: AbortSignal | undefined): ErrorOptions {
  return { cause: signal?.reason };
}

/** Whether a promise resolves in time. */
export async function endsWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), timeoutMs));
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
