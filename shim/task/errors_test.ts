import assert from "node:assert/strict";
import { SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { VmError, type VmErrorKind } from "../../qemu/mod.ts";
import { ConfigError } from "../config/config.ts";
import { toRpcError } from "./errors.ts";
import { RefusedError } from "../base/refused_error.ts";
import { GuestError } from "../guest_client/guest_error.ts";
import { TaskError } from "./task_error.ts";

Deno.test("each kind of error has its code and keeps its message", () => {
  const vm: Record<VmErrorKind, Code> = {
    config: Code.InvalidArgument,
    "not-found": Code.FailedPrecondition,
    host: Code.FailedPrecondition,
    boot: Code.Internal,
    timeout: Code.DeadlineExceeded,
    cancelled: Code.Canceled,
    crashed: Code.Internal,
    protocol: Code.Internal,
  };
  const table: [unknown, Code][] = [
    ...Object.entries(vm).map(([kind, code]): [unknown, Code] => [
      new VmError(kind as VmErrorKind, "what happened"),
      code,
    ]),
    [new ConfigError("what happened"), Code.InvalidArgument],
    [new RefusedError("invalid", "what", "happened"), Code.InvalidArgument],
    [new RefusedError("unsupported", "what", "happened"), Code.Unimplemented],
    [new RefusedError("host", "what", "happened"), Code.FailedPrecondition],
    [new RefusedError("failed", "what", "happened"), Code.Internal],
    [new RefusedError("timeout", "what", "happened"), Code.DeadlineExceeded],
    [new RefusedError("aborted", "what", "happened"), Code.Aborted],
    [new TaskError("not-found", "what happened"), Code.NotFound],
    [new TaskError("already-exists", "what happened"), Code.AlreadyExists],
    [new TaskError("precondition", "what happened"), Code.FailedPrecondition],
    [new TaskError("invalid", "what happened"), Code.InvalidArgument],
    [new TaskError("unavailable", "what happened"), Code.Unavailable],
    [GuestError.hostile("what happened"), Code.Internal],
    [GuestError.refused(Code.ResourceExhausted, "what happened"), Code.ResourceExhausted],
    [new RpcError(Code.AlreadyExists, "what happened"), Code.AlreadyExists],
    [new Error("what happened"), Code.Unknown],
    ["what happened", Code.Unknown],
  ];
  for (const [error, code] of table) {
    const status = toRpcError(error);
    assert.equal(Code[status.code], Code[code], String(error));
    assert.equal(status.message, "what happened");
  }
});

Deno.test("a missing file, of the host or in the guest, is not a missing task", () => {
  for (
    const error of [
      new SystemError("open", "ENOENT", { path: "/x" }),
      new Deno.errors.NotFound("no such file"),
      new VmError("not-found", "no kernel"),
      GuestError.refused(Code.NotFound, "open /run/x: ENOENT"),
      new RpcError(Code.NotFound, "open /run/x: ENOENT"),
    ]
  ) assert.notEqual(toRpcError(error).code, Code.NotFound, error.message);
});

Deno.test("a guest's message becomes one line of bounded length", () => {
  const status = toRpcError(new RpcError(Code.Internal, `a\n\x1b[2Jb${"x".repeat(1 << 20)}`));
  assert.match(status.message, /^a bx+…$/);
  assert.ok(status.message.length <= 2048);
});

Deno.test("anything that can be thrown becomes a status", () => {
  for (const thrown of [undefined, null, 0, {}, Symbol("s")]) {
    assert.ok(toRpcError(thrown) instanceof RpcError);
  }
});
