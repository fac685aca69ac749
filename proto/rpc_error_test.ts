import assert from "node:assert/strict";
import { create } from "./schema/mod.ts";
import { StatusSchema } from "./gen/google/rpc/status_schema.ts";
import { packAny, unpackAny } from "./any.ts";
import { ProcessDetailsSchema } from "./gen/containerd/types/runc/options/oci_schema.ts";
import { TaskExitSchema } from "./gen/containerd/events/task_schema.ts";
import { Code, errorOf, RpcError, rpcErrorFrom, statusOf } from "./rpc_error.ts";
import { timestampFromNanoseconds, timestampToNanoseconds } from "./timestamp.ts";

Deno.test("errors round-trip through statuses", () => {
  const details = [packAny(ProcessDetailsSchema, { execId: "e" })];
  for (const code of Object.values(Code).filter((value) => typeof value === "number")) {
    const back = errorOf(statusOf(new RpcError(code, "text", { details })));
    if (code === Code.OK) assert.equal(back, null);
    else assert.deepEqual([back!.code, back!.message, back!.details], [code, "text", details]);
  }
  assert.equal(errorOf(undefined), null);
  assert.equal(errorOf(create(StatusSchema, { code: 17 }))!.code, Code.Unknown);
  assert.equal(errorOf(create(StatusSchema, { code: -1 }))!.code, Code.Unknown);
  assert.equal(new RpcError(Code.Aborted, "no details").details, undefined);
});

Deno.test("rpcErrorFrom converts anything thrown", () => {
  const own = new RpcError(Code.Aborted, "own");
  assert.equal(rpcErrorFrom(own), own);
  const withErrno = Object.assign(new Error("open /x: no such file"), { code: "ENOENT" });
  const cases: [unknown, Code, string][] = [
    [withErrno, Code.NotFound, "open /x: no such file"],
    [Object.assign(new Error("x"), { code: "EEXIST" }), Code.AlreadyExists, "x"],
    [Object.assign(new Error("x"), { code: "toString" }), Code.Unknown, "x"],
    [new DOMException("stopped", "AbortError"), Code.Canceled, "stopped"],
    [new DOMException("late", "TimeoutError"), Code.DeadlineExceeded, "late"],
    [new TypeError("bug"), Code.Unknown, "bug"],
    ["text", Code.Unknown, "text"],
    [undefined, Code.Unknown, "undefined"],
  ];
  for (const [thrown, code, message] of cases) {
    const error = rpcErrorFrom(thrown);
    assert.deepEqual([Code[error.code], error.message], [Code[code], message]);
  }
  assert.equal(rpcErrorFrom(withErrno).cause, withErrno);
});

Deno.test("an Any is packed with its bare name, and unpacked with any prefix", () => {
  const any = packAny(TaskExitSchema, { containerId: "c", pid: 3 });
  assert.equal(any.typeUrl, "containerd.events.TaskExit");
  for (const prefix of ["", "type.googleapis.com/", "types.containerd.io/x/"]) {
    const typeUrl: string = prefix + any.typeUrl;
    assert.equal(unpackAny(TaskExitSchema, { ...any, typeUrl }).pid, 3);
  }
  const invalid = { code: Code.InvalidArgument };
  assert.throws(() => unpackAny(ProcessDetailsSchema, any), invalid);
  assert.throws(() => unpackAny(TaskExitSchema, { ...any, typeUrl: "" }), invalid);
  assert.throws(() => unpackAny(TaskExitSchema, { ...any, typeUrl: "/" }), invalid);
  assert.throws(() => unpackAny(TaskExitSchema, { ...any, value: Uint8Array.of(255) }), invalid);
});

Deno.test("timestamps keep their nanoseconds, also before 1970", () => {
  for (const nanoseconds of [0n, 1n, -1n, 1_234_567_890_123_456_789n, -1_500_000_000n]) {
    const timestamp = timestampFromNanoseconds(nanoseconds);
    assert.ok(timestamp.nanos >= 0 && timestamp.nanos < 1e9);
    assert.equal(timestampToNanoseconds(timestamp), nanoseconds);
  }
});
