import { type ExitStatus } from "../ffi/mod.ts";
import {
  Code,
  implement,
  RpcError,
  type ServiceBinding,
  taskTypes,
  taskV3,
  type Timestamp,
  timestampFromNanoseconds,
} from "../proto/mod.ts";
import { type Container } from "./container.ts";
import { type ContainerState } from "./container_state.ts";
import { type Containers } from "./containers.ts";
import { quoted } from "./ids.ts";

/** What the task service rests on. */
export interface TaskServiceDependencies {
  readonly containers: Containers;
  /** Whether there is a bundle at this path. */
  readonly hasBundle: (path: string) => boolean;
  readonly version: string;
}

/**
 * containerd.task.v3.Task. The bundle of Create is a path that Bundles.Create returned, its stdin,
 * stdout and stderr are stream ids, which the host dials when Create has answered.
 */
export function taskService(dependencies: TaskServiceDependencies): ServiceBinding {
  const { containers, hasBundle, version } = dependencies;
  return implement(taskV3.Task, {
    create: async (request) => {
      checkCreate(request, hasBundle);
      const { id, bundle, stdin, stdout, stderr } = request;
      const container = await containers.create(id, bundle, { stdin, stdout, stderr });
      return { pid: container.pid };
    },
    start: async ({ id, execId }) => ({ pid: await initOf(containers, id, execId).start() }),
    state: ({ id, execId }) => stateOf(initOf(containers, id, execId)),
    pids: ({ id }) => ({ processes: containers.get(id).pids().map((pid) => ({ pid })) }),
    kill: async ({ id, execId, signal, all }) => {
      await initOf(containers, id, execId).kill(signal, all);
      return {};
    },
    wait: async ({ id, execId }) => exitFields(await initOf(containers, id, execId).exited),
    delete: async ({ id, execId }) => {
      initOf(containers, id, execId);
      const { container, exit } = await containers.delete(id);
      return { pid: container.pid, ...exitFields(exit) };
    },
    closeIO: ({ id, execId, stdin }) => {
      const container = initOf(containers, id, execId);
      if (stdin) container.closeStdin();
      return {};
    },
    connect: ({ id }) => ({ shimPid: 1, taskPid: containers.get(id).pid, version }),
  });
}

function checkCreate(
  request: taskV3.CreateTaskRequest,
  hasBundle: (path: string) => boolean,
): void {
  if (request.terminal) throw new RpcError(Code.Unimplemented, "terminals are not implemented");
  if (request.checkpoint !== "") {
    throw new RpcError(Code.Unimplemented, "restoring a checkpoint is not implemented");
  }
  if (!hasBundle(request.bundle)) {
    throw new RpcError(Code.NotFound, `no bundle at ${quoted(request.bundle)}`);
  }
}

/** The container, as long as its init process is meant: there are no others yet. */
function initOf(containers: Containers, id: string, execId: string): Container {
  const container = containers.get(id);
  if (execId !== "") {
    throw new RpcError(Code.NotFound, `no process ${quoted(execId)} in container ${quoted(id)}`);
  }
  return container;
}

function stateOf(container: Container) {
  const { id, bundle, state, pid, ids } = container;
  const exit = "exit" in state && state.exit !== null ? exitFields(state.exit) : {};
  return { id, bundle, pid, status: statusOf(state), ...ids, ...exit };
}

function statusOf(state: ContainerState): taskTypes.Status {
  switch (state.name) {
    case "creating":
    case "created":
    case "starting":
      return taskTypes.Status.CREATED;
    case "running":
      return taskTypes.Status.RUNNING;
    case "stopped":
    case "deleting":
      return taskTypes.Status.STOPPED;
  }
}

/** An exit as the task service's messages have it. */
export function exitFields(exit: ExitStatus): { exitStatus: number; exitedAt: Timestamp } {
  return { exitStatus: exit.code, exitedAt: timestampFromNanoseconds(exit.at) };
}
