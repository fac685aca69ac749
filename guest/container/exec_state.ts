import type { Transitions } from "../../base/mod.ts";
import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";

/** The state of an exec process. */
export type ExecState =
  /** Added by Exec, not started. */
  | { readonly kind: "added" }
  /** crun exec is running. */
  | { readonly kind: "starting" }
  | { readonly kind: "running"; readonly pid: Pid }
  /** `pid` is 0 if the start failed. */
  | { readonly kind: "stopped"; readonly pid: Pid | 0; readonly exit: ExitStatus }
  | { readonly kind: "deleted"; readonly pid: Pid | 0; readonly exit: ExitStatus };

/** What happens to an exec process. `exit` of "delete" is for one that was never started. */
export type ExecEvent =
  | { readonly kind: "start" }
  | { readonly kind: "started"; readonly pid: Pid }
  | { readonly kind: "start failed"; readonly exit: ExitStatus }
  | { readonly kind: "exited"; readonly exit: ExitStatus }
  | { readonly kind: "delete"; readonly exit: ExitStatus };

/** The legal transitions. */
export const EXEC_TRANSITIONS: Transitions<ExecState, ExecEvent> = {
  added: {
    start: () => ({ kind: "starting" }),
    delete: (_, { exit }) => ({ kind: "deleted", pid: 0, exit }),
  },
  starting: {
    started: (_, { pid }) => ({ kind: "running", pid }),
    "start failed": (_, { exit }) => ({ kind: "stopped", pid: 0, exit }),
  },
  running: {
    exited: ({ pid }, { exit }) => ({ kind: "stopped", pid, exit }),
  },
  stopped: {
    delete: ({ pid, exit }) => ({ kind: "deleted", pid, exit }),
  },
  deleted: {},
};

/** Returns containerd's name for `state`. */
export function statusOf({ kind }: ExecState): taskTypes.Status {
  switch (kind) {
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
