import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { EXEC_TRANSITIONS, type ExecEvent, type ExecState } from "./exec_state.ts";
import { assertTransitions } from "../testing/transition_table.ts";

const pid = 7 as Pid;
const exit: ExitStatus = { pid, code: 3, signal: null, at: 1n };
const failure: ExitStatus = { ...exit, code: 127 };
const never: ExitStatus = { ...exit, code: 0 };

const STATES: Record<string, ExecState> = {
  added: { kind: "added" },
  starting: { kind: "starting" },
  running: { kind: "running", pid },
  stopped: { kind: "stopped", pid, exit },
  failed: { kind: "stopped", pid: 0, exit: failure },
  deleted: { kind: "deleted", pid, exit },
  "deleted failed": { kind: "deleted", pid: 0, exit: failure },
  "deleted unstarted": { kind: "deleted", pid: 0, exit: never },
};

const EVENTS: Record<string, ExecEvent> = {
  start: { kind: "start" },
  started: { kind: "started", pid },
  "start failed": { kind: "start failed", exit: failure },
  exited: { kind: "exited", exit },
  delete: { kind: "delete", exit: never },
};

/** The legal transitions; all others are illegal. */
const LEGAL: Record<string, Record<string, string>> = {
  added: { start: "starting", delete: "deleted unstarted" },
  starting: { started: "running", "start failed": "failed" },
  running: { exited: "stopped" },
  stopped: { delete: "deleted" },
  failed: { delete: "deleted failed" },
};

Deno.test("every event is legal in exactly the listed states", () => {
  assertTransitions(EXEC_TRANSITIONS, { states: STATES, events: EVENTS, legal: LEGAL });
});
