import assert from "node:assert/strict";
import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { type ExecEvent, type ExecState, transition } from "./exec_state.ts";

const pid = 7 as Pid;
const exit: ExitStatus = { pid, code: 3, signal: null, at: 1n };
const failure: ExitStatus = { ...exit, code: 127 };
const never: ExitStatus = { ...exit, code: 0 };

const STATES: Record<string, ExecState> = {
  added: { name: "added" },
  starting: { name: "starting" },
  running: { name: "running", pid },
  stopped: { name: "stopped", pid, exit },
  failed: { name: "stopped", pid: 0, exit: failure },
  deleted: { name: "deleted", pid, exit },
  "deleted failed": { name: "deleted", pid: 0, exit: failure },
  "deleted unstarted": { name: "deleted", pid: 0, exit: never },
};

const EVENTS: Record<string, ExecEvent> = {
  start: { name: "start" },
  started: { name: "started", pid },
  "start failed": { name: "start failed", exit: failure },
  exited: { name: "exited", exit },
  delete: { name: "delete", exit: never },
};

/** The legal ones; everything else is refused. */
const LEGAL: Record<string, Record<string, string>> = {
  added: { start: "starting", delete: "deleted unstarted" },
  starting: { started: "running", "start failed": "failed" },
  running: { exited: "stopped" },
  stopped: { delete: "deleted" },
  failed: { delete: "deleted failed" },
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
