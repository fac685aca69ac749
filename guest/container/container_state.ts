import type { Transitions } from "../../base/mod.ts";
import { type ExitStatus, type Pid } from "../../ffi/mod.ts";
import { taskTypes } from "../../proto/mod.ts";

/** The state of a container. */
export type ContainerState =
  /** crun create is running. */
  | { readonly kind: "creating" }
  | { readonly kind: "created"; readonly pid: InitPid }
  /** crun start, or restore, is running. */
  | { readonly kind: "starting"; readonly pid: InitPid }
  | { readonly kind: "running"; readonly pid: Pid }
  /** Its processes are being frozen. */
  | { readonly kind: "pausing"; readonly pid: Pid }
  | { readonly kind: "paused"; readonly pid: Pid }
  | { readonly kind: "stopped"; readonly pid: InitPid; readonly exit: ExitStatus }
  /** crun delete is running; `exit` is null if that is what kills the init. */
  | { readonly kind: "deleting"; readonly pid: InitPid; readonly exit: ExitStatus | null };

/** The init's pid; 0 until a restore has created it. */
type InitPid = Pid | 0;

/** What happens to a container. */
export type ContainerEvent =
  | { readonly kind: "created"; readonly pid: InitPid }
  | { readonly kind: "start" }
  | { readonly kind: "started"; readonly pid: Pid }
  | { readonly kind: "start failed" }
  | { readonly kind: "pause" }
  | { readonly kind: "paused" }
  | { readonly kind: "pause failed" }
  | { readonly kind: "resume" }
  | { readonly kind: "exited"; readonly exit: ExitStatus }
  | { readonly kind: "delete" }
  | { readonly kind: "delete failed" };

type Exited = Extract<ContainerEvent, { kind: "exited" }>;
const stopped = ({ pid }: { readonly pid: InitPid }, { exit }: Exited): ContainerState => {
  return { kind: "stopped", pid, exit };
};

/** The legal transitions. */
export const CONTAINER_TRANSITIONS: Transitions<ContainerState, ContainerEvent> = {
  creating: {
    created: (_, { pid }) => ({ kind: "created", pid }),
  },
  created: {
    start: ({ pid }) => ({ kind: "starting", pid }),
    exited: stopped,
    // Deleting a container that was never started kills it, as in runc's shim.
    delete: ({ pid }) => ({ kind: "deleting", pid, exit: null }),
  },
  starting: {
    started: (_, { pid }) => ({ kind: "running", pid }),
    "start failed": ({ pid }) => ({ kind: "created", pid }),
    exited: stopped,
  },
  running: {
    pause: ({ pid }) => ({ kind: "pausing", pid }),
    exited: stopped,
  },
  pausing: {
    paused: ({ pid }) => ({ kind: "paused", pid }),
    "pause failed": ({ pid }) => ({ kind: "running", pid }),
    exited: stopped,
  },
  paused: {
    resume: ({ pid }) => ({ kind: "running", pid }),
    exited: stopped,
  },
  stopped: {
    delete: ({ pid, exit }) => ({ kind: "deleting", pid, exit }),
  },
  deleting: {
    exited: ({ pid, exit: before }, { exit }) =>
      before === null ? { kind: "deleting", pid, exit } : null,
    "delete failed": ({ pid, exit }) =>
      exit === null ? { kind: "created", pid } : { kind: "stopped", pid, exit },
  },
};

/** Returns containerd's name for `state`. */
export function statusOf({ kind }: ContainerState): taskTypes.Status {
  switch (kind) {
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
