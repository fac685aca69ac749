import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";

/** Where a process that was added to a container is in its life. */
export type ExecState =
  /** Told of, not started. */
  | { readonly name: "added" }
  /** crun exec is under way. */
  | { readonly name: "starting" }
  | { readonly name: "running"; readonly pid: Pid }
  /** `pid` is 0 when it could not be started. */
  | { readonly name: "stopped"; readonly pid: Pid | 0; readonly exit: ExitStatus }
  | { readonly name: "deleted"; readonly pid: Pid | 0; readonly exit: ExitStatus };

/** What happens to such a process. `exit` of "delete" is that of a process that never started. */
export type ExecEvent =
  | { readonly name: "start" }
  | { readonly name: "started"; readonly pid: Pid }
  | { readonly name: "start failed"; readonly exit: ExitStatus }
  | { readonly name: "exited"; readonly exit: ExitStatus }
  | { readonly name: "delete"; readonly exit: ExitStatus };

/**
 * The state after `event`, or null when it cannot happen in `state`: a call that is refused.
 *
 * Total: every event has an answer in every state.
 */
export function transition(state: ExecState, event: ExecEvent): ExecState | null {
  switch (event.name) {
    case "start":
      return state.name === "added" ? { name: "starting" } : null;
    case "started":
      return state.name === "starting" ? { name: "running", pid: event.pid } : null;
    case "start failed":
      return state.name === "starting" ? { name: "stopped", pid: 0, exit: event.exit } : null;
    case "exited":
      return state.name === "running"
        ? { name: "stopped", pid: state.pid, exit: event.exit }
        : null;
    case "delete":
      return deleted(state, event.exit);
  }
}

function deleted(state: ExecState, exit: ExitStatus): ExecState | null {
  switch (state.name) {
    case "added":
      return { name: "deleted", pid: 0, exit };
    case "stopped":
      return { name: "deleted", pid: state.pid, exit: state.exit };
    case "starting":
    case "running":
    case "deleted":
      return null;
  }
}

/** What containerd calls `state`. */
export function statusOf(state: ExecState): taskTypes.Status {
  switch (state.name) {
    case "added":
    case "starting":
      return taskTypes.Status.CREATED;
    case "running":
      return taskTypes.Status.RUNNING;
    case "stopped":
    case "deleted":
      return taskTypes.Status.STOPPED;
  }
}
