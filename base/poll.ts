import { delay } from "./delay.ts";

/**
 * Calls `look` until it returns something other than null, for state without an event to wait for.
 * Calls it at least once, and once more at the deadline.
 *
 * @returns the result of `look`, or null if the deadline passed or `signal` aborted.
 */
export async function poll<T>(
  look: () => T | null | Promise<T | null>,
  { everyMs, timeoutMs, signal }: PollOptions,
): Promise<T | null> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    const left = deadline - performance.now();
    if (left <= 0 || signal?.aborted) return null;
    await delay(Math.min(everyMs, left), signal);
  }
}

/** Interval and limits of `poll`. */
export interface PollOptions {
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}
