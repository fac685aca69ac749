import assert from "node:assert/strict";
import { Code, RpcError } from "../proto/mod.ts";
import {
  assertLegal,
  type Exit,
  next,
  type ProcessEvent,
  type ProcessState,
  type StatefulCall,
} from "./process_state.ts";

const exit: Exit = { status: 3, at: new Date(0) };
const later: Exit = { status: 137, at: new Date(1) };
const states: ProcessState[] = [
  { kind: "created" },
  { kind: "running" },
  { kind: "stopped", exit },
  { kind: "deleted", exit },
];

Deno.test("every event in every state", () => {
  const table: [ProcessState["kind"], ProcessEvent, ProcessState["kind"]][] = [
    ["created", { kind: "started" }, "running"],
    ["created", { kind: "exited", exit: later }, "stopped"],
    ["created", { kind: "deleted" }, "deleted"],
    ["running", { kind: "started" }, "running"],
    ["running", { kind: "exited", exit: later }, "stopped"],
    ["running", { kind: "deleted" }, "running"],
    ["stopped", { kind: "started" }, "stopped"],
    ["stopped", { kind: "exited", exit: later }, "stopped"],
    ["stopped", { kind: "deleted" }, "deleted"],
    ["deleted", { kind: "started" }, "deleted"],
    ["deleted", { kind: "exited", exit: later }, "deleted"],
    ["deleted", { kind: "deleted" }, "deleted"],
  ];
  assert.equal(table.length, states.length * 3);
  for (const [from, event, to] of table) {
    const state = states.find(({ kind }) => kind === from)!;
    assert.equal(next(state, event).kind, to, `${from} + ${event.kind}`);
  }
});

Deno.test("the first exit counts", () => {
  const stopped = next(next({ kind: "running" }, { kind: "exited", exit }), {
    kind: "exited",
    exit: later,
  });
  assert.deepEqual(stopped, { kind: "stopped", exit });
});

Deno.test("every call in every state", () => {
  const expected: Record<StatefulCall, (Code | null)[]> = {
    start: [null, Code.FailedPrecondition, Code.FailedPrecondition, Code.NotFound],
    kill: [null, null, Code.NotFound, Code.NotFound],
    delete: [null, Code.FailedPrecondition, null, Code.NotFound],
    "close-io": [null, null, null, Code.NotFound],
    pids: [null, null, null, Code.NotFound],
  };
  for (const [call, codes] of Object.entries(expected)) {
    states.forEach((state, index) => {
      const check = () => assertLegal(state, call as StatefulCall, "container c1");
      const code = codes[index];
      if (code === null) return check();
      assert.throws(check, (error) => {
        assert.ok(error instanceof RpcError && error.code === code, `${call} in ${state.kind}`);
        assert.match(error.message, /container c1/);
        return true;
      });
    });
  }
});
