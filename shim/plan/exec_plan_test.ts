import assert from "node:assert/strict";
import fc from "fast-check";
import { type Any, AnySchema, create } from "../../proto/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
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
    assert.ok(error instanceof RefusedError && error.kind === "invalid", String(error));
    return error.message;
  }
  return "not refused";
}

Deno.test("a process passes unchanged, except for labels of the host's security modules", () => {
  const process = { ...good, rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024 }], selinuxLabel: "l" };
  const { selinuxLabel: _, ...rest } = process;
  assert.deepEqual(planExec(request(any(process))), rest);
  const infinite = `{"args":["true"],"cwd":"/","rlimits":[{"hard":18446744073709551615}]}`;
  const spec = create(AnySchema, { typeUrl: TYPE, value: bytes(infinite) });
  const [rlimit] = planExec(request(spec))["rlimits"] as { hard: bigint }[];
  assert.equal(rlimit!.hard, 18446744073709551615n);
});

Deno.test("a malformed Process is refused by the exec's id and the field", () => {
  assert.match(refused(request(undefined)), /^exec e1: Process is missing$/);
  for (const type of ["", "Process", TYPE.replace("1/", "2/"), TYPE.replace("Process", "Spec")]) {
    assert.match(
      refused(request(any(good, type))),
      /^exec e1: Process must be of type types\.containerd\.io\/.*Process, found "/,
    );
  }
  assert.match(refused(request(any([]))), /^exec e1: Process is not a JSON object$/);
  assert.match(
    refused(request(create(AnySchema, { typeUrl: TYPE, value: bytes("{") }))),
    /^exec e1: Process is not JSON: /,
  );
  const invalid = create(AnySchema, { typeUrl: TYPE, value: Uint8Array.of(0xff) });
  assert.match(refused(request(invalid)), /^exec e1: Process is not JSON: /);
  const huge = { ...good, env: ["x".repeat(PROCESS_BYTES_MAX)] };
  assert.match(
    refused(request(any(huge))),
    /^exec e1: Process has 1048\d{3} bytes, more than the limit of 1048576$/,
  );
  for (const args of [undefined, [], "true", [1]]) {
    assert.equal(
      refused(request(any({ ...good, args }))),
      "exec e1: args must be a non-empty list of strings",
    );
  }
  for (const [cwd, shown] of [[undefined, ""], [1, ""], ["", ' ""'], ["bin", ' "bin"']]) {
    assert.equal(
      refused(request(any({ ...good, cwd }))),
      `exec e1: cwd${shown} must be an absolute path`,
    );
  }
});

Deno.test("an exec id that is not an identifier is refused", () => {
  for (const execId of ["", "../x", "a/b", "-x", "x".repeat(77)]) {
    assert.match(
      refused(request(any(good), { execId })),
      /^exec-id ".*" is not an identifier \(.*, at most 76\)$/,
    );
  }
});

Deno.test("the specification and the request must agree about a terminal", () => {
  const terminal = any({ ...good, terminal: true });
  assert.match(
    refused(request(any(good), { terminal: true })),
    /^exec e1: terminal is false in its/,
  );
  assert.match(refused(request(terminal)), /^exec e1: terminal is true in its/);
  assert.throws(() => planExec(request(terminal)), {
    field: "exec e1: terminal",
    why: "is true in its specification and false in the request",
    fix: "make them the same",
  });
  const odd = any({ ...good, terminal: "yes" });
  assert.equal(refused(request(odd)), "exec e1: terminal must be true or false");
  assert.equal(planExec(request(terminal, { terminal: true })).terminal, true);
});

Deno.test("any JSON gives a process or a refusal", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    refused(request(any(value)));
  }));
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (args, cwd, terminal) => {
    refused(request(any({ args, cwd: "/", terminal })));
    refused(request(any({ ...good, cwd })));
  }));
  refused(request(any({ ...good, cwd: { toString: 1 }, terminal: { toString: 1 } })));
});
