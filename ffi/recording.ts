import { SystemError } from "./system_error.ts";

/**
 * Wraps an object of functions in a double that records every call, and fails call number `failAt`
 * without making it. An async function fails by a rejection.
 *
 * Calls of the target to itself are not recorded.
 */
export function recording<T extends object>(
  target: T,
  options: RecordingOptions = {},
): { double: T; calls: RecordedCall[] } {
  const calls: RecordedCall[] = [];
  const fail = options.error ?? ((call: RecordedCall) => new SystemError(call.name, "EIO"));

  const record = (name: string, method: AnyFunction) => (...args: unknown[]): unknown => {
    const call: RecordedCall = { name, args, outcome: "returned" };
    calls.push(call);
    if (calls.length - 1 === options.failAt) {
      call.outcome = "failed";
      const error = call.result = fail(call);
      if (isAsync(method)) return Promise.reject(error);
      throw error;
    }
    return settle(call, () => method.apply(target, args));
  };

  const double = new Proxy(target, {
    get(_, property): unknown {
      const value = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      return record(String(property), value as AnyFunction);
    },
  });
  return { double, calls };
}

/** A call to a recording double. */
export interface RecordedCall {
  name: string;
  args: unknown[];
  /** "failed": the double failed it and did not call the target. */
  outcome: "returned" | "threw" | "failed";
  /** Returned or thrown value; for a promise, the value it settled with, once it has. */
  result?: unknown;
}

/** Options of {@link recording}. */
export interface RecordingOptions {
  /** The 0-based index of the call to fail. */
  failAt?: number;
  /** Makes the error of the failed call; default: SystemError EIO with the call's name. */
  error?: (call: RecordedCall) => Error;
}

// deno-lint-ignore no-explicit-any -- any function of any seam object
type AnyFunction = (...args: any[]) => unknown;

function settle(call: RecordedCall, run: () => unknown): unknown {
  const threw = (error: unknown): never => {
    call.outcome = "threw";
    call.result = error;
    throw error;
  };
  let result: unknown;
  try {
    result = call.result = run();
  } catch (error) {
    return threw(error);
  }
  if (!(result instanceof Promise)) return result;
  return result.then((value) => call.result = value, threw);
}

function isAsync(method: AnyFunction): boolean {
  return method.constructor.name === "AsyncFunction";
}
