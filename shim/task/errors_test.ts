import assert from "node:assert/strict";
import { SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { VmError, type VmErrorKind } from "../../qemu/mod.ts";
import { ConfigError } from "../config/config.ts";
import { toRpcError } from "./errors.ts";
import { RootfsError } from "../plan/rootfs/rootfs_plan.ts";
import { UnsupportedSpecError } from "../plan/spec_plan.ts";

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
    [new RootfsError("what happened"), Code.InvalidArgument],
    [new UnsupportedSpecError("what happened"), Code.Unimplemented],
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

Deno.test("a host's missing file is not a missing task", () => {
  for (
    const error of [
      new SystemError("open", "ENOENT", { path: "/x" }),
      new Deno.errors.NotFound("no such file"),
      new VmError("not-found", "no kernel"),
    ]
  ) assert.notEqual(toRpcError(error).code, Code.NotFound, error.message);
});

Deno.test("what a guest says goes on in one line of bounded length", () => {
  const status = toRpcError(new RpcError(Code.Internal, `a\n\x1b[2Jb${"x".repeat(1 << 20)}`));
  assert.match(status.message, /^a \[2Jbx+$/);
  assert.ok(status.message.length <= 2048);
});

Deno.test("anything that can be thrown becomes a status", () => {
  for (const thrown of [undefined, null, 0, {}, Symbol("s")]) {
    assert.ok(toRpcError(thrown) instanceof RpcError);
  }
});
