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
import { type ContainerProcess } from "../container/container.ts";
import { type Containers } from "../container/containers.ts";
import { type Process, windowSize } from "../container/process.ts";
import { checkpointOptions } from "../runtime/checkpoint_options.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { ociObject } from "../runtime/oci_json.ts";
import { ociProcess } from "../runtime/oci_process.ts";
import { wantedCpus } from "../scaling/cpus.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";
import { type ContainerBundle } from "./bundle_service.ts";
import { exitFields } from "./container_events.ts";

const { Status } = taskTypes;

/**
 * Implements containerd.task.v3.Task. The bundle of Create is a path that Bundles.Create returned,
 * or a CreateBundleRequest in its options. stdin, stdout and stderr of Create and Exec are stream
 * ids, which the host dials. The path of Checkpoint and the checkpoint of Create are names of
 * qemubox.guest.v1.Checkpoints.
 */
export function taskService(deps: TaskServiceDeps): ServiceBinding {
  const { containers, version } = deps;
  return implement(taskV3.Task, {
    create: (request) => create(deps, request),
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
    update: (request) => update(deps, request),
    checkpoint: (request) => checkpoint(deps, request),
    closeIO: ({ id, execId, stdin }) => {
      const process = processOf(containers, id, execId);
      if (stdin) process.closeStdin();
      return {};
    },
    connect: ({ id }) => ({ shimPid: 1, taskPid: containers.get(id).pid, version }),
  });
}

/** The parts of vminitd that the task service uses. */
export interface TaskServiceDeps {
  readonly containers: Containers;
  readonly checkpoints: Checkpoints;
  /** Finds or makes the bundle of a Create. */
  readonly bundleFor: (request: taskV3.CreateTaskRequest) => ContainerBundle;
  readonly machine: Machine;
  readonly version: string;
}

/** The parts of the VM that limits apply to. A seam: a test's machine is the host. */
export interface Machine {
  /** Returns the container's disks. */
  ownDisks(): readonly DeviceNumbers[];
  /** Brings `count` CPUs online, capped at those present. */
  setOnline(count: number): void;
}

async function create(
  { containers, bundleFor }: TaskServiceDeps,
  request: taskV3.CreateTaskRequest,
): Promise<{ pid: number }> {
  await using undo = new AsyncDisposableStack();
  const { path } = undo.use(bundleFor(request));
  const { id, checkpoint } = request;
  const container = await containers.create(id, path, stdioIds(request), checkpoint);
  undo.move();
  return { pid: container.pid };
}

async function update(
  { containers, machine }: TaskServiceDeps,
  { id, resources }: taskV3.UpdateTaskRequest,
): Promise<Record<never, never>> {
  const limits = ociObject(resources, "LinuxResources", "resources to update");
  const container = containers.get(id);
  const wanted = wantedCpus(limits);
  await container.update(limitsOfOwnDisks(limits, machine.ownDisks));
  if (wanted !== null) machine.setOnline(wanted);
  return {};
}

async function checkpoint(
  { containers, checkpoints }: TaskServiceDeps,
  { id, path, options }: taskV3.CheckpointTaskRequest,
): Promise<Record<never, never>> {
  const container = containers.get(id);
  const asked = checkpointOptions(options);
  const directory = checkpoints.create(path);
  try {
    await container.checkpoint(directory, asked);
  } catch (error) {
    checkpoints.delete(path);
    throw error;
  }
  return {};
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
  // Pausing a container freezes its exec processes as well.
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

/** Returns an entry of Pids' answer, with the exec id of an exec process. */
function processInfo({ pid, execId }: ContainerProcess) {
  if (execId === null) return { pid };
  return { pid, info: packAny(runcOptions.ProcessDetailsSchema, { execId }) };
}
