/** Deadlines of calls. @module */
import { Code, RpcError } from "../rpc_error.ts";

// Timers take 31 bits. Longer than 24 days is as good as for ever.
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls back once with DeadlineExceeded after that time. @returns how to call it off. */
export function after(timeoutMs: number, expired: (error: RpcError) => void): () => void {
  if (timeoutMs > TIMER_MS_MAX) return () => {};
  const timer = setTimeout(
    () => expired(new RpcError(Code.DeadlineExceeded, "deadline exceeded")),
    Math.max(0, timeoutMs),
  );
  return () => clearTimeout(timer);
}
