import { messageOf } from "../../base/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";

/** Returns the error for a request that asks for something impossible. */
export function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}

/**
 * Returns the error that the host gets for `thrown`. Only an RpcError says something about the
 * request: anything else is a failure of vminitd's own and Internal, whatever its errno. An ENOENT
 * that became NotFound would be the end of the container to containerd.
 */
export function rpcErrorOf(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  return new RpcError(Code.Internal, messageOf(thrown), { cause: thrown });
}
