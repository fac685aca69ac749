import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";

/** The init's; 0 when it is to come out of a checkpoint, and has not yet. */
type InitPid = Pid | 0;

/** Where a container is in its life. */
export type ContainerState =
  /** crun create is under way. */
  | { readonly name: "creating" }
  | { readonly name: "created"; readonly pid: InitPid }
  /** crun start, or restore, is under way. */
  | { readonly name: "starting"; readonly pid: InitPid }
  | { readonly name: "running"; readonly pid: Pid }
  /** Its processes are being frozen. */
  | { readonly name: "pausing"; readonly pid: Pid }
  | { readonly name: "paused"; readonly pid: Pid }
  | { readonly name: "stopped"; readonly pid: InitPid; readonly exit: ExitStatus }
  /** crun delete is under way; `exit` is null when it is what kills the process. */
  | { readonly name: "deleting"; readonly pid: InitPid; readonly exit: ExitStatus | null };

/** What happens to a container. */
export type ContainerEvent =
  | { readonly name: "created"; readonly pid: InitPid }
  | { readonly name: "start" }
  | { readonly name: "started"; readonly pid: Pid }
  | { readonly name: "start failed" }
  | { readonly name: "pause" }
  | { readonly name: "paused" }
  | { readonly name: "pause failed" }
  | { readonly name: "resume" }
  | { readonly name: "exited"; readonly exit: ExitStatus }
  | { readonly name: "delete" }
  | { readonly name: "delete failed" };

/**
 * The state after `event`, or null when it cannot happen in `state`: a call that is refused.
 *
 * Total: every event has an answer in every state.
 */
export function transition(state: ContainerState, event: ContainerEvent): ContainerState | null {
  switch (event.name) {
    case "created":
      return state.name === "creating" ? { name: "created", pid: event.pid } : null;
    case "start":
      return state.name === "created" ? { name: "starting", pid: state.pid } : null;
    case "started":
      return state.name === "starting" ? { name: "running", pid: event.pid } : null;
    case "start failed":
      return state.name === "starting" ? { name: "created", pid: state.pid } : null;
    case "pause":
      return state.name === "running" ? { name: "pausing", pid: state.pid } : null;
    case "paused":
      return state.name === "pausing" ? { name: "paused", pid: state.pid } : null;
    case "pause failed":
      return state.name === "pausing" ? { name: "running", pid: state.pid } : null;
    case "resume":
      return state.name === "paused" ? { name: "running", pid: state.pid } : null;
    case "exited":
      return exited(state, event.exit);
    case "delete":
      return deleting(state);
    case "delete failed":
      return undeleted(state);
  }
}

function exited(state: ContainerState, exit: ExitStatus): ContainerState | null {
  switch (state.name) {
    case "created":
    case "starting":
    case "running":
    case "pausing":
    case "paused":
      return { name: "stopped", pid: state.pid, exit };
    case "deleting":
      return state.exit === null ? { name: "deleting", pid: state.pid, exit } : null;
    case "creating":
    case "stopped":
      return null;
  }
}

function deleting(state: ContainerState): ContainerState | null {
  switch (state.name) {
    case "created": // never started: deleting it kills it, as runc's shim does
      return { name: "deleting", pid: state.pid, exit: null };
    case "stopped":
      return { name: "deleting", pid: state.pid, exit: state.exit };
    case "creating":
    case "starting":
    case "running":
    case "pausing":
    case "paused":
    case "deleting":
      return null;
  }
}

function undeleted(state: ContainerState): ContainerState | null {
  if (state.name !== "deleting") return null;
  const { pid, exit } = state;
  return exit === null ? { name: "created", pid } : { name: "stopped", pid, exit };
}

/** What containerd calls `state`. */
export function statusOf(state: ContainerState): taskTypes.Status {
  switch (state.name) {
    case "creating":
    case "created":
    case "starting":
      return taskTypes.Status.CREATED;
    case "running":
      return taskTypes.Status.RUNNING;
    case "pausing":
      return taskTypes.Status.PAUSING;
    case "paused":
      return taskTypes.Status.PAUSED;
    case "stopped":
    case "deleting":
      return taskTypes.Status.STOPPED;
  }
}
