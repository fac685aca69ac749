import { messageOf, printable } from "../../base/mod.ts";
import { NetworkError, type NetworkErrorKind } from "../../net/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { VmError, type VmErrorKind } from "../../qemu/mod.ts";
import { type RefusalKind, RefusedError } from "../base/refused_error.ts";
import { ConfigError } from "../config/config.ts";
import { GuestError } from "../guest_client/guest_error.ts";
import { SystemError } from "../../ffi/mod.ts";
import { TaskError, type TaskErrorKind } from "./task_error.ts";

/** Only these are about the task itself, so that NotFound may say that it is gone. */
const TASK_CODES: Readonly<Record<TaskErrorKind, Code>> = {
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  precondition: Code.FailedPrecondition,
  invalid: Code.InvalidArgument,
  unavailable: Code.Unavailable,
};

const REFUSAL_CODES: Readonly<Record<RefusalKind, Code>> = {
  invalid: Code.InvalidArgument,
  unsupported: Code.Unimplemented,
  host: Code.FailedPrecondition,
  failed: Code.Internal,
  timeout: Code.DeadlineExceeded,
  aborted: Code.Aborted,
};

const VM_CODES: Readonly<Record<VmErrorKind, Code>> = {
  config: Code.InvalidArgument,
  "not-found": Code.FailedPrecondition,
  host: Code.FailedPrecondition,
  boot: Code.Internal,
  timeout: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  crashed: Code.Internal,
  protocol: Code.Internal,
};

const NETWORK_CODES: Readonly<Record<NetworkErrorKind, Code>> = {
  config: Code.InvalidArgument,
  plugin: Code.FailedPrecondition,
  result: Code.FailedPrecondition,
  host: Code.FailedPrecondition,
};

/** Longest message of a status. Some messages are a hostile guest's. */
const MESSAGE_CHARS_MAX = 2048;

/**
 * Makes the status for an error: the one table from this program's errors to RPC codes, used at the
 * RPC boundary alone. NotFound is left to TaskError: containerd takes it for a task that is gone.
 */
export function toRpcError(error: unknown): RpcError {
  const message = printable(messageOf(error), MESSAGE_CHARS_MAX - 1);
  return new RpcError(codeOf(error), message, { cause: error });
}

function codeOf(error: unknown): Code {
  if (error instanceof TaskError) return TASK_CODES[error.kind];
  if (error instanceof RefusedError) return REFUSAL_CODES[error.kind];
  if (error instanceof VmError) return VM_CODES[error.kind];
  if (error instanceof NetworkError) return NETWORK_CODES[error.kind];
  if (error instanceof GuestError) return guestCode(error);
  if (error instanceof ConfigError) return Code.InvalidArgument;
  if (error instanceof SystemError) return Code.Internal;
  if (error instanceof RpcError && error.code !== Code.NotFound) return error.code;
  return Code.Unknown;
}

/** A guest may answer NotFound for a missing file as well: an errno says nothing about the task. */
function guestCode({ kind, code }: GuestError): Code {
  switch (kind) {
    case "unanswered":
      return Code.DeadlineExceeded;
    case "hostile":
      return Code.Internal;
    case "refused":
      return code === null || code === Code.NotFound ? Code.Internal : code;
  }
}
