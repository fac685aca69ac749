import {
  cgroups,
  implement,
  packAny,
  runcOptions,
  type ServiceBinding,
  taskTypes,
  taskV3,
} from "../../proto/mod.ts";
import { type DeviceNumbers, limitsOfOwnDisks } from "../bundle/block_limits.ts";
import { type ContainerBundle } from "./bundle_service.ts";
import { checkpointOptions } from "../runtime/checkpoint_options.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { type ContainerProcess } from "../container/container.ts";
import { exitFields } from "./container_events.ts";
import { type Containers } from "../container/containers.ts";
import { ociObject } from "../runtime/oci_json.ts";
import { ociProcess } from "../runtime/oci_process.ts";
import { wantedProcessors } from "../scaling/processors.ts";
import { type Process, windowSize } from "../container/process.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";

const { Status } = taskTypes;

/** What the task service rests on. */
export interface TaskServiceDependencies {
  readonly containers: Containers;
  readonly checkpoints: Checkpoints;
  /** Finds or makes the bundle that a Create asks for. */
  readonly bundleFor: (request: taskV3.CreateTaskRequest) => ContainerBundle;
  readonly machine: Machine;
  readonly version: string;
}

/** What of the machine limits are about: a seam, because a test's machine is the host. */
export interface Machine {
  /** The disks that are the container's. */
  ownDisks(): readonly DeviceNumbers[];
  /** Has so many processors online, as far as there are so many. */
  setOnline(processors: number): void;
}

/**
 * containerd.task.v3.Task. The bundle of Create is a path that Bundles.Create returned, or comes in
 * its options as a CreateBundleRequest. Its stdin, stdout and stderr are stream ids, which the host
 * dials; so are those of Exec. The path of Checkpoint and the checkpoint of Create are names of
 * qemubox.guest.v1.Checkpoints.
 */
export function taskService(dependencies: TaskServiceDependencies): ServiceBinding {
  const { containers, checkpoints, bundleFor, machine, version } = dependencies;
  return implement(taskV3.Task, {
    create: async (request) => {
      await using undo = new AsyncDisposableStack();
      const { path } = undo.use(bundleFor(request));
      const { id, checkpoint } = request;
      const container = await containers.create(id, path, stdioIds(request), checkpoint);
      undo.move();
      return { pid: container.pid };
    },
    start: async ({ id, execId }) => ({ pid: await processOf(containers, id, execId).start() }),
    exec: (request) => {
      const { id, execId, terminal } = request;
      containers.get(id).execs.add(execId, ociProcess(request.spec, terminal), stdioIds(request));
      return {};
    },
    state: ({ id, execId }) => stateOf(containers, id, execId),
    pids: ({ id }) => ({ processes: containers.get(id).pids().map(processInfo) }),
    kill: async ({ id, execId, signal, all }) => {
      await processOf(containers, id, execId).kill(signal, all);
      return {};
    },
    wait: async ({ id, execId }) => exitFields(await processOf(containers, id, execId).exited),
    delete: async ({ id, execId }) => {
      const { process, exit } = execId === ""
        ? await containers.delete(id)
        : containers.get(id).execs.delete(execId);
      return { pid: process.pid, ...exitFields(exit) };
    },
    resizePty: ({ id, execId, width, height }) => {
      processOf(containers, id, execId).resize(windowSize(width, height));
      return {};
    },
    pause: async ({ id }) => {
      await containers.get(id).pause();
      return {};
    },
    resume: ({ id }) => {
      containers.get(id).resume();
      return {};
    },
    stats: ({ id }) => ({
      stats: packAny(cgroups.MetricsSchema, containers.get(id).metrics()),
    }),
    update: async ({ id, resources }) => {
      const limits = ociObject(resources, "LinuxResources", "the resources to update");
      const container = containers.get(id);
      const wanted = wantedProcessors(limits);
      await container.update(limitsOfOwnDisks(limits, machine.ownDisks));
      if (wanted !== null) machine.setOnline(wanted);
      return {};
    },
    checkpoint: async ({ id, path, options }) => {
      const container = containers.get(id);
      const asked = checkpointOptions(options);
      const folder = checkpoints.create(path);
      try {
        await container.checkpoint(folder, asked);
      } catch (error) {
        checkpoints.delete(path);
        throw error;
      }
      return {};
    },
    closeIO: ({ id, execId, stdin }) => {
      const process = processOf(containers, id, execId);
      if (stdin) process.closeStdin();
      return {};
    },
    connect: ({ id }) => ({ shimPid: 1, taskPid: containers.get(id).pid, version }),
  });
}

function stdioIds({ stdin, stdout, stderr, terminal }: StdioIds): StdioIds {
  return { stdin, stdout, stderr, terminal };
}

function processOf(containers: Containers, id: string, execId: string): Process {
  const container = containers.get(id);
  return execId === "" ? container : container.execs.get(execId);
}

function stateOf(containers: Containers, id: string, execId: string) {
  const { bundle, status } = containers.get(id);
  const process = processOf(containers, id, execId);
  const { pid, ids, exit } = process;
  // What freezes a container freezes all that lives in it.
  const frozen = exit === null && (status === Status.PAUSING || status === Status.PAUSED);
  return {
    id,
    execId,
    bundle,
    pid,
    status: frozen ? status : process.status,
    ...ids,
    ...(exit === null ? {} : exitFields(exit)),
  };
}

/** One of Pids' answer: a process that an exec started is told by its id. */
function processInfo({ pid, execId }: ContainerProcess) {
  if (execId === null) return { pid };
  return { pid, info: packAny(runcOptions.ProcessDetailsSchema, { execId }) };
}
