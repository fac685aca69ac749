import { delay } from "../../base/mod.ts";

/** Delay between two pings, unless the timeout is short. Milliseconds. */
const PERIOD_MS_MAX = 5_000;
/** Pings in a timeout, at least. */
const PINGS_MIN = 6;

/** Options of `untilSilent`. */
export interface LivenessOptions {
  /** How long a guest may be silent. Milliseconds. */
  readonly timeoutMs: number;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Monotonic time in milliseconds. */
  readonly now?: () => number;
}

/**
 * Pings a guest every few seconds, one ping at a time. Resolves with true when it has been silent
 * for the timeout, within one period before; with false when `signal` aborts. Never rejects.
 *
 * Time in which this process did not run either (a stopped or overloaded host) does not count: when
 * the timer of a period fires a period late, the timeout starts over.
 *
 * @param ping settles when the guest has answered. An error is an answer too.
 */
export async function untilSilent(
  ping: (signal: AbortSignal) => Promise<unknown>,
  { timeoutMs, signal, now = () => performance.now() }: LivenessOptions,
): Promise<boolean> {
  const periodMs = Math.min(PERIOD_MS_MAX, timeoutMs / PINGS_MIN);
  let isPending = false;
  let aliveAt = now();
  const answered = () => {
    isPending = false;
    aliveAt = now();
  };
  for (let wokenAt = now();;) {
    await delay(periodMs, signal);
    if (signal.aborted) return false;
    const at = now();
    if (at - wokenAt > 2 * periodMs) aliveAt = at;
    wokenAt = at;
    if (at - aliveAt > timeoutMs - periodMs) return true;
    if (isPending) continue;
    isPending = true;
    void ping(signal).then(answered, answered);
  }
}
