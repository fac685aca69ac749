import { transition, type Transitions } from "../../base/mod.ts";
import type { Exit } from "../guest_client/exit.ts";
import { TaskError } from "./task_error.ts";

/** Where a process is in its life. Only a container's init is paused: its execs pause with it. */
export type ProcessState =
  | { readonly kind: "created" }
  | { readonly kind: "running" }
  | { readonly kind: "paused" }
  | { readonly kind: "stopped"; readonly exit: Exit }
  | { readonly kind: "deleted"; readonly exit: Exit };

/** An event in the life of a process. */
export type ProcessEvent =
  | { readonly kind: "started" }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  | { readonly kind: "exited"; readonly exit: Exit }
  | { readonly kind: "deleted" };

/** Calls whose outcome depends on the state. */
export type StatefulCall =
  | "start"
  | "kill"
  | "delete"
  | "close-io"
  | "pids"
  | "exec"
  | "pause"
  | "resume"
  | "resize"
  | "stats"
  | "update"
  | "checkpoint";

type ProcessTransitions = Transitions<ProcessState, ProcessEvent>;

const stopped = (_: unknown, { exit }: { readonly exit: Exit }): ProcessState => {
  return { kind: "stopped", exit };
};

const TRANSITIONS: ProcessTransitions = {
  created: {
    started: () => ({ kind: "running" }),
    exited: stopped,
    deleted: () => ({ kind: "deleted", exit: neverRan() }),
  },
  running: { paused: () => ({ kind: "paused" }), exited: stopped },
  paused: { resumed: () => ({ kind: "running" }), exited: stopped },
  stopped: { deleted: ({ exit }) => ({ kind: "deleted", exit }) },
  deleted: {},
};

/**
 * Returns the state after an event. An event that comes late changes nothing, for instance the
 * second of two reports of the same exit.
 */
export function next(state: ProcessState, event: ProcessEvent): ProcessState {
  return transition(TRANSITIONS, state, event) ?? state;
}

function neverRan(): Exit {
  return { status: 0, at: new Date() };
}

/** Calls that are legal in each state. All others are refused. */
const LEGAL: Readonly<Record<ProcessState["kind"], readonly StatefulCall[]>> = {
  created: ["start", "kill", "delete", "close-io", "pids", "exec", "resize", "stats", "update"],
  // deno-fmt-ignore
  running: ["kill", "close-io", "pids", "exec", "pause", "resize", "stats", "update", "checkpoint"],
  paused: ["kill", "close-io", "pids", "resume", "resize", "stats", "update", "checkpoint"],
  stopped: ["delete", "close-io", "pids"],
  deleted: [],
};

/**
 * Checks that a call is legal, as containerd's own shim would.
 *
 * @param what names the process in the message: `container c1`.
 * @throws TaskError `not-found` for a kill of a process that has exited, and for a deleted process;
 * `precondition` naming the state otherwise.
 */
export function assertLegal(state: ProcessState, call: StatefulCall, what: string): void {
  if (LEGAL[state.kind].includes(call)) return;
  if (state.kind === "deleted") throw new TaskError("not-found", `${what} is deleted`);
  if (call === "kill") throw new TaskError("not-found", `${what}: process already finished`);
  throw new TaskError("precondition", `cannot ${call} ${what}: it is ${state.kind}`);
}
