/** Deadlines of calls. @module */
import { after } from "../../base/mod.ts";
import { Code, RpcError } from "../rpc_error.ts";

/** Calls `expired` with DeadlineExceeded after `timeoutMs` milliseconds, unless disposed first. */
export function callDeadline(timeoutMs: number, expired: (error: RpcError) => void): Disposable {
  return after(timeoutMs, () => expired(deadlineExceeded()));
}

/** Returns the error of a call whose deadline has passed. */
export function deadlineExceeded(): RpcError {
  return new RpcError(Code.DeadlineExceeded, "deadline exceeded");
}
