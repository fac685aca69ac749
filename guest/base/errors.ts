import { Code, RpcError } from "../../proto/mod.ts";

/** What a request says cannot be. */
export function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}
