import assert from "node:assert/strict";
import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";
import {
  CONTAINER_TRANSITIONS,
  type ContainerEvent,
  type ContainerState,
  statusOf,
} from "./container_state.ts";
import { assertTransitions } from "../testing/transition_table.ts";

const pid = 7 as Pid;
const exit: ExitStatus = { pid, code: 3, signal: null, at: 1n };

const STATES: Record<string, ContainerState> = {
  creating: { kind: "creating" },
  created: { kind: "created", pid },
  starting: { kind: "starting", pid },
  running: { kind: "running", pid },
  pausing: { kind: "pausing", pid },
  paused: { kind: "paused", pid },
  stopped: { kind: "stopped", pid, exit },
  "deleting alive": { kind: "deleting", pid, exit: null },
  "deleting stopped": { kind: "deleting", pid, exit },
};

const EVENTS: Record<string, ContainerEvent> = {
  created: { kind: "created", pid },
  start: { kind: "start" },
  started: { kind: "started", pid },
  "start failed": { kind: "start failed" },
  pause: { kind: "pause" },
  paused: { kind: "paused" },
  "pause failed": { kind: "pause failed" },
  resume: { kind: "resume" },
  exited: { kind: "exited", exit },
  delete: { kind: "delete" },
  "delete failed": { kind: "delete failed" },
};

/** The legal transitions; all others are illegal. */
const LEGAL: Record<string, Record<string, string>> = {
  creating: { created: "created" },
  created: { start: "starting", exited: "stopped", delete: "deleting alive" },
  starting: { started: "running", "start failed": "created", exited: "stopped" },
  running: { pause: "pausing", exited: "stopped" },
  pausing: { paused: "paused", "pause failed": "running", exited: "stopped" },
  paused: { resume: "running", exited: "stopped" },
  stopped: { delete: "deleting stopped" },
  "deleting alive": { exited: "deleting stopped", "delete failed": "created" },
  "deleting stopped": { "delete failed": "stopped" },
};

Deno.test("every event is legal in exactly the listed states", () => {
  assertTransitions(CONTAINER_TRANSITIONS, { states: STATES, events: EVENTS, legal: LEGAL });
});

Deno.test("every state has containerd's name", () => {
  const { Status } = taskTypes;
  assert.deepEqual(
    Object.fromEntries(
      Object.entries(STATES).map(([name, state]) => [name, Status[statusOf(state)]]),
    ),
    {
      creating: "CREATED",
      created: "CREATED",
      starting: "CREATED",
      running: "RUNNING",
      pausing: "PAUSING",
      paused: "PAUSED",
      stopped: "STOPPED",
      "deleting alive": "STOPPED",
      "deleting stopped": "STOPPED",
    },
  );
});
