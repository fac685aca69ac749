import assert from "node:assert/strict";
import fc from "fast-check";
import { type Any, AnySchema, Code, create, RpcError } from "../../proto/mod.ts";
import { type ExecRequest, planExec, PROCESS_BYTES_MAX } from "./exec_plan.ts";

const TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const bytes = (text: string) => new TextEncoder().encode(text);
const any = (value: unknown, typeUrl = TYPE): Any =>
  create(AnySchema, { typeUrl, value: bytes(JSON.stringify(value)) });
const good = { args: ["true"], cwd: "/" };

function request(spec: Any | undefined, change: Partial<ExecRequest> = {}): ExecRequest {
  return {
    id: "c1",
    execId: "e1",
    terminal: false,
    stdin: "",
    stdout: "",
    stderr: "",
    spec,
    ...change,
  };
}

function refused(request: ExecRequest): string {
  try {
    planExec(request);
  } catch (error) {
    assert.ok(error instanceof RpcError && error.code === Code.InvalidArgument, String(error));
    return error.message;
  }
  return "not refused";
}

Deno.test("a process goes through as it is, but for labels of the host", () => {
  const process = { ...good, rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024 }], selinuxLabel: "l" };
  const { selinuxLabel: _, ...rest } = process;
  assert.deepEqual(planExec(request(any(process))), rest);
  const infinite = `{"args":["true"],"cwd":"/","rlimits":[{"hard":18446744073709551615}]}`;
  const spec = create(AnySchema, { typeUrl: TYPE, value: bytes(infinite) });
  const [rlimit] = planExec(request(spec))["rlimits"] as { hard: bigint }[];
  assert.equal(rlimit!.hard, 18446744073709551615n);
});

Deno.test("what is no process is refused by name", () => {
  assert.match(refused(request(undefined)), /^exec e1: there is no Process$/);
  for (const type of ["", "Process", TYPE.replace("1/", "2/"), TYPE.replace("Process", "Spec")]) {
    assert.match(
      refused(request(any(good, type))),
      /expected types\.containerd\.io\/.*Process, found/,
    );
  }
  assert.match(refused(request(any([]))), /not a JSON object/);
  assert.match(
    refused(request(create(AnySchema, { typeUrl: TYPE, value: bytes("{") }))),
    /not JSON/,
  );
  const invalid = create(AnySchema, { typeUrl: TYPE, value: Uint8Array.of(0xff) });
  assert.match(refused(request(invalid)), /not JSON/);
  const huge = { ...good, env: ["x".repeat(PROCESS_BYTES_MAX)] };
  assert.match(refused(request(any(huge))), /more than the limit/);
  for (const args of [undefined, [], "true", [1]]) {
    assert.match(refused(request(any({ ...good, args }))), /args is no command/);
  }
  for (const cwd of [undefined, "", "bin"]) {
    assert.match(refused(request(any({ ...good, cwd }))), /cwd is no absolute path/);
  }
});

Deno.test("an id that could leave its place is refused", () => {
  for (const execId of ["", "../x", "a/b", "-x", "x".repeat(77)]) {
    assert.match(refused(request(any(good), { execId })), /exec-id/);
  }
});

Deno.test("a terminal is wanted by both or by none", () => {
  const terminal = any({ ...good, terminal: true });
  assert.match(refused(request(any(good), { terminal: true })), /terminal is false in its/);
  assert.match(refused(request(terminal)), /terminal is true in its/);
  assert.equal(planExec(request(terminal, { terminal: true })).terminal, true);
});

Deno.test("whatever the bytes, the answer is a process or InvalidArgument", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    refused(request(any(value)));
  }));
});
