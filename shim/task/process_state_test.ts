import assert from "node:assert/strict";
import {
  assertLegal,
  next,
  type ProcessEvent,
  type ProcessState,
  type StatefulCall,
} from "./process_state.ts";
import { TaskError, type TaskErrorKind } from "./task_error.ts";
import type { Exit } from "../guest_client/exit.ts";

const exit: Exit = { status: 3, at: new Date(0) };
const later: Exit = { status: 137, at: new Date(1) };
const states: ProcessState[] = [
  { kind: "created" },
  { kind: "running" },
  { kind: "paused" },
  { kind: "stopped", exit },
  { kind: "deleted", exit },
];

Deno.test("next: every event in every state", () => {
  const table: [ProcessState["kind"], ProcessEvent, ProcessState["kind"]][] = [
    ["created", { kind: "started" }, "running"],
    ["created", { kind: "exited", exit: later }, "stopped"],
    ["created", { kind: "deleted" }, "deleted"],
    ["created", { kind: "paused" }, "created"],
    ["created", { kind: "resumed" }, "created"],
    ["running", { kind: "started" }, "running"],
    ["running", { kind: "paused" }, "paused"],
    ["running", { kind: "resumed" }, "running"],
    ["running", { kind: "exited", exit: later }, "stopped"],
    ["running", { kind: "deleted" }, "running"],
    ["paused", { kind: "started" }, "paused"],
    ["paused", { kind: "paused" }, "paused"],
    ["paused", { kind: "resumed" }, "running"],
    ["paused", { kind: "exited", exit: later }, "stopped"],
    ["paused", { kind: "deleted" }, "paused"],
    ["stopped", { kind: "started" }, "stopped"],
    ["stopped", { kind: "paused" }, "stopped"],
    ["stopped", { kind: "resumed" }, "stopped"],
    ["stopped", { kind: "exited", exit: later }, "stopped"],
    ["stopped", { kind: "deleted" }, "deleted"],
    ["deleted", { kind: "started" }, "deleted"],
    ["deleted", { kind: "paused" }, "deleted"],
    ["deleted", { kind: "resumed" }, "deleted"],
    ["deleted", { kind: "exited", exit: later }, "deleted"],
    ["deleted", { kind: "deleted" }, "deleted"],
  ];
  assert.equal(table.length, states.length * 5);
  for (const [from, event, to] of table) {
    const state = states.find(({ kind }) => kind === from)!;
    assert.equal(next(state, event).kind, to, `${from} + ${event.kind}`);
  }
});

Deno.test("a second exit changes nothing", () => {
  const stopped = next(next({ kind: "running" }, { kind: "exited", exit }), {
    kind: "exited",
    exit: later,
  });
  assert.deepEqual(stopped, { kind: "stopped", exit });
});

Deno.test("each call is legal in its states, and refused in all others", () => {
  const [early, no]: TaskErrorKind[] = ["precondition", "not-found"];
  const expected: Record<StatefulCall, (TaskErrorKind | null | undefined)[]> = {
    start: [null, early, early, early, no],
    kill: [null, null, null, no, no],
    delete: [null, early, early, null, no],
    "close-io": [null, null, null, null, no],
    pids: [null, null, null, null, no],
    exec: [null, null, early, early, no],
    pause: [early, null, early, early, no],
    resume: [early, early, null, early, no],
    resize: [null, null, null, early, no],
    stats: [null, null, null, early, no],
    update: [null, null, null, early, no],
    checkpoint: [early, null, null, early, no],
  };
  for (const [call, codes] of Object.entries(expected)) {
    states.forEach((state, index) => {
      const check = () => assertLegal(state, call as StatefulCall, "container c1");
      const code = codes[index];
      if (code === null) return check();
      assert.throws(check, (error) => {
        assert.ok(error instanceof TaskError && error.kind === code, `${call} in ${state.kind}`);
        assert.match(error.message, /container c1/);
        return true;
      });
    });
  }
});
