import assert from "node:assert/strict";
import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";
import {
  type ContainerEvent,
  type ContainerState,
  statusOf,
  transition,
} from "./container_state.ts";

const pid = 7 as Pid;
const exit: ExitStatus = { pid, code: 3, signal: null, at: 1n };

const STATES: Record<string, ContainerState> = {
  creating: { name: "creating" },
  created: { name: "created", pid },
  starting: { name: "starting", pid },
  running: { name: "running", pid },
  pausing: { name: "pausing", pid },
  paused: { name: "paused", pid },
  stopped: { name: "stopped", pid, exit },
  "deleting alive": { name: "deleting", pid, exit: null },
  "deleting stopped": { name: "deleting", pid, exit },
};

const EVENTS: Record<string, ContainerEvent> = {
  created: { name: "created", pid },
  start: { name: "start" },
  started: { name: "started", pid },
  "start failed": { name: "start failed" },
  pause: { name: "pause" },
  paused: { name: "paused" },
  "pause failed": { name: "pause failed" },
  resume: { name: "resume" },
  exited: { name: "exited", exit },
  delete: { name: "delete" },
  "delete failed": { name: "delete failed" },
};

/** The legal ones; everything else is refused. */
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

Deno.test("every state answers every event", () => {
  for (const [stateName, state] of Object.entries(STATES)) {
    for (const [eventName, event] of Object.entries(EVENTS)) {
      const legal = LEGAL[stateName]?.[eventName];
      const expected = legal === undefined ? null : STATES[legal];
      assert.deepEqual(transition(state, event), expected, `${eventName} while ${stateName}`);
    }
  }
});

Deno.test("containerd has a name for every state", () => {
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
