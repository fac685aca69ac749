import { SystemError } from "../../ffi/mod.ts";
import { Code, RpcError, rpcErrorFrom } from "../../proto/mod.ts";
import { NetworkError, type NetworkErrorKind } from "../../net/mod.ts";
import { VmError, type VmErrorKind } from "../../qemu/mod.ts";
import { ConfigError } from "../config/config.ts";
import { RootfsError } from "../plan/rootfs/rootfs_plan.ts";
import { UnsupportedSpecError } from "../plan/spec_plan.ts";

const VM_CODES: Readonly<Record<VmErrorKind, Code>> = {
  config: Code.InvalidArgument,
  // Not Code.NotFound: containerd would take it for a task that is gone.
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

/** Longer messages are cut; some are a hostile guest's. */
const MESSAGE_CHARS_MAX = 2048;

/** The one table from this program's errors to RPC statuses, used at the RPC boundary alone. */
export function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return new RpcError(error.code, clean(error.message));
  return new RpcError(codeOf(error), clean(rpcErrorFrom(error).message), { cause: error });
}

function codeOf(error: unknown): Code {
  if (error instanceof VmError) return VM_CODES[error.kind];
  if (error instanceof NetworkError) return NETWORK_CODES[error.kind];
  if (error instanceof ConfigError || error instanceof RootfsError) return Code.InvalidArgument;
  if (error instanceof UnsupportedSpecError) return Code.Unimplemented;
  if (error instanceof SystemError) return Code.Internal;
  return Code.Unknown;
}

function clean(message: string): string {
  // deno-lint-ignore no-control-regex
  return message.slice(0, MESSAGE_CHARS_MAX).replaceAll(/[\x00-\x1f\x7f]+/g, " ");
}
