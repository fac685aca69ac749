import { Code, RpcError } from "../../proto/mod.ts";
import type { Exit } from "../guest_client/exit.ts";

/** Where a process is in its life. Paused is a container's init alone: its execs pause with it. */
export type ProcessState =
  | { readonly kind: "created" }
  | { readonly kind: "running" }
  | { readonly kind: "paused" }
  | { readonly kind: "stopped"; readonly exit: Exit }
  | { readonly kind: "deleted"; readonly exit: Exit };

/** What can happen to a process. */
export type ProcessEvent =
  | { readonly kind: "started" }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  | { readonly kind: "exited"; readonly exit: Exit }
  | { readonly kind: "deleted" };

/** The calls whose outcome depends on the state. */
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

/**
 * The state after an event. Total: an event that comes late, as the second of two reports of the
 * same exit does, changes nothing.
 */
export function next(state: ProcessState, event: ProcessEvent): ProcessState {
  switch (state.kind) {
    case "created":
      if (event.kind === "started") return { kind: "running" };
      if (event.kind === "exited") return { kind: "stopped", exit: event.exit };
      if (event.kind === "deleted") return { kind: "deleted", exit: neverRan() };
      return state;
    case "running":
      if (event.kind === "exited") return { kind: "stopped", exit: event.exit };
      return event.kind === "paused" ? { kind: "paused" } : state;
    case "paused":
      if (event.kind === "exited") return { kind: "stopped", exit: event.exit };
      return event.kind === "resumed" ? { kind: "running" } : state;
    case "stopped":
      return event.kind === "deleted" ? { kind: "deleted", exit: state.exit } : state;
    case "deleted":
      return state;
  }
}

function neverRan(): Exit {
  return { status: 0, at: new Date() };
}

/** For each state, the calls that it answers; what is missing is refused. */
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
 * @param what the process, for the message: `container c1`.
 * @throws RpcError NotFound for a process that has finished and is to be killed, or that is gone;
 * FailedPrecondition naming the state otherwise.
 */
export function assertLegal(state: ProcessState, call: StatefulCall, what: string): void {
  if (LEGAL[state.kind].includes(call)) return;
  if (state.kind === "deleted") throw new RpcError(Code.NotFound, `${what} is deleted`);
  if (call === "kill") {
    throw new RpcError(Code.NotFound, `${what}: process already finished`);
  }
  throw new RpcError(Code.FailedPrecondition, `cannot ${call} ${what}: it is ${state.kind}`);
}
