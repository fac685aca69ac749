/** gRPC statuses as errors, and the table that maps other errors to them. @module */
import { create } from "./schema/mod.ts";
import type { Any } from "./gen/google/protobuf/any_schema.ts";
import { type Status, StatusSchema } from "./gen/google/rpc/status_schema.ts";

/** Failure of a call. The peer reads `message`: lower case, no full stop. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: Code;
  readonly details?: Any[];

  constructor(code: Code, message: string, options?: { details?: Any[]; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options?.details !== undefined && options.details.length > 0) {
      this.details = options.details;
    }
  }
}

/** Codes of gRPC, https://grpc.io/docs/guides/status-codes/. */
export enum Code {
  OK = 0,
  Canceled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
}

// Codes of system calls and of Deno's file functions that have an equivalent gRPC code. All other
// errors are Unknown to a caller, as in Go.
const CODE_OF_ERRNO: ReadonlyMap<unknown, Code> = new Map([
  ["ENOENT", Code.NotFound],
  ["ESRCH", Code.NotFound],
  ["EEXIST", Code.AlreadyExists],
  ["EACCES", Code.PermissionDenied],
  ["EPERM", Code.PermissionDenied],
  ["EINVAL", Code.InvalidArgument],
  ["ENOMEM", Code.ResourceExhausted],
  ["ENOSPC", Code.ResourceExhausted],
  ["EMFILE", Code.ResourceExhausted],
  ["ENFILE", Code.ResourceExhausted],
  ["ETIMEDOUT", Code.DeadlineExceeded],
  ["ECONNREFUSED", Code.Unavailable],
  ["ECONNRESET", Code.Unavailable],
  ["EPIPE", Code.Unavailable],
]);
const CODE_OF_NAME: ReadonlyMap<unknown, Code> = new Map([
  ["AbortError", Code.Canceled],
  ["TimeoutError", Code.DeadlineExceeded],
]);

/** Converts anything that was thrown to an RpcError. */
export function rpcErrorFrom(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  if (!(thrown instanceof Error)) return new RpcError(Code.Unknown, String(thrown));
  const errno = (thrown as { code?: unknown }).code;
  const code = CODE_OF_ERRNO.get(errno) ?? CODE_OF_NAME.get(thrown.name) ?? Code.Unknown;
  return new RpcError(code, thrown.message, { cause: thrown });
}

/** Returns the status to send for an error. */
export function statusOf(error: RpcError): Status {
  return create(StatusSchema, {
    code: error.code,
    message: error.message,
    details: error.details ?? [],
  });
}

/**
 * Returns the error of a status, or null if it is OK or absent. Codes that gRPC lacks are Unknown.
 */
export function errorOf(status: Status | undefined): RpcError | null {
  if (status === undefined || status.code === Code.OK) return null;
  const code = Code[status.code] === undefined ? Code.Unknown : status.code as Code;
  return new RpcError(code, status.message, { details: status.details });
}
