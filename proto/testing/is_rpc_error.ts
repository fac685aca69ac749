import assert from "node:assert/strict";
import { Code, RpcError } from "../rpc_error.ts";

/** Returns a check for `assert.rejects`: an RpcError with that code and a matching message. */
export function isRpcError(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RpcError, String(error));
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.message, message);
    return true;
  };
}
