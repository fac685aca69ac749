import { type Any, Code, type MessageInitShape, RpcError, type taskV3 } from "../../proto/mod.ts";
import { SIG } from "../../ffi/mod.ts";
import type { Balloon } from "../../qemu/mod.ts";
import { fetchCheckpoint } from "../guest_client/checkpoint_files.ts";
import { checkpointOptions } from "../plan/checkpoint_options.ts";
import {
  checkedProcesses,
  checkedStats,
  type ListedProcess,
} from "../guest_client/guest_answers.ts";
import { answered } from "../guest_client/guest_connection.ts";
import type { Logger } from "../base/log.ts";
import { encodeOciJson } from "../plan/oci_json.ts";
import { ociTypeUrl } from "../plan/oci.ts";
import type { TaskEvents } from "./task_events.ts";
import type { ProcessId, Tasks } from "./tasks.ts";
import { memoryFor, planUpdate } from "../plan/update_plan.ts";

/** A guest that does not answer within this is given up on; SIGKILL then ends it. Milliseconds. */
const CALL_TIMEOUT_MS = 10_000;
/** The guest first writes what it has in memory to a snapshot's disk (its FLUSH_TIMEOUT_MS). Milliseconds. */
const PAUSE_TIMEOUT_MS = 60_000;
/** CRIU writes all of the container's memory. Milliseconds. */
const CHECKPOINT_TIMEOUT_MS = 610_000;
const BYTES_PER_MIB = 1_048_576;
/** The rows and columns of a terminal are 16 bits wide: struct winsize of ioctl_tty(2). */
const WINDOW_SIDE_MAX = 65_535;

/** What the controls need besides the tasks. */
export interface TaskControlsHost {
  readonly events: TaskEvents;
  readonly log: Logger;
  /** Ends the VM, since the guest does not answer. */
  giveUp(reason: string): Promise<void>;
}

/** The calls that steer or look at what runs: checked against the state, forwarded into the guest. */
export class TaskControls {
  readonly #tasks: Tasks;
  readonly #host: TaskControlsHost;
  #checkpoints = 0;

  constructor(tasks: Tasks, host: TaskControlsHost) {
    this.#tasks = tasks;
    this.#host = host;
  }

  async kill(
    { id, execId, signal, all }: ProcessId & { signal: number; all: boolean },
  ): Promise<void> {
    this.#tasks.process({ id, execId }).assertLegal("kill");
    const { guest } = this.#tasks.required();
    try {
      await guest.task.kill({ id, execId, signal, all }, { timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      if (execId !== "" || signal !== SIG.KILL || !isUnanswered(error)) throw error;
      this.#host.log.warn(`the guest does not answer a kill: the VM is ended`);
      await this.#host.giveUp("the guest does not answer");
    }
  }

  async pause({ id }: { id: string }): Promise<void> {
    const { init } = this.#tasks.container(id);
    init.assertLegal("pause");
    const { guest } = this.#tasks.required();
    await answered("Task.Pause", PAUSE_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.pause({ id }, { timeoutMs });
    });
    if (init.note("paused")) this.#host.events.paused(id);
  }

  async resume({ id }: { id: string }): Promise<void> {
    const { init } = this.#tasks.container(id);
    init.assertLegal("resume");
    const { guest } = this.#tasks.required();
    await answered("Task.Resume", CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.resume({ id }, { timeoutMs });
    });
    if (init.note("resumed")) this.#host.events.resumed(id);
  }

  /**
   * The processes with their pids in the guest; after the end, the VM's own on the host, which stays
   * until the container is deleted. A containerd that starts takes a shim that lists nothing for what
   * a crash left, and would remove it with the exit status that nobody has asked for yet.
   */
  async pids({ id }: { id: string }): Promise<{ processes: ListedProcess[] }> {
    const container = this.#tasks.container(id);
    container.init.assertLegal("pids");
    const ended = { processes: [{ pid: this.#tasks.pid }] };
    if (container.init.hasEnded) return ended;
    const { guest } = this.#tasks.required();
    const { processes } = await answered("Task.Pids", CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.pids({ id }, { timeoutMs });
    });
    const isExec = (execId: string) => container.execs.some(({ name }) => name.execId === execId);
    // The guest knows of the end before we do.
    return processes.length === 0 ? ended : { processes: checkedProcesses(processes, isExec) };
  }

  async stats(
    { id }: { id: string },
  ): Promise<MessageInitShape<typeof taskV3.StatsResponseSchema>> {
    this.#tasks.container(id).init.assertLegal("stats");
    const { guest } = this.#tasks.required();
    const { stats } = await answered("Task.Stats", CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.stats({ id }, { timeoutMs });
    });
    return { stats: checkedStats(stats) };
  }

  async update({ id, resources }: { id: string; resources?: Any | undefined }): Promise<void> {
    const container = this.#tasks.container(id);
    container.init.assertLegal("update");
    const plan = planUpdate(id, resources, container.size);
    const { guest, balloon, pod } = this.#tasks.required();
    const any = { typeUrl: ociTypeUrl("LinuxResources"), value: encodeOciJson(plan) };
    const update = () =>
      answered("Task.Update", CALL_TIMEOUT_MS, (timeoutMs) => {
        return guest.task.update({ id, resources: any }, { timeoutMs });
      });
    // What the containers of a pod need is not what one of them does.
    const needed = pod === null ? memoryFor(plan, container.size) : null;
    if (balloon === null || needed === null) await update();
    else await withMemoryOf(balloon, needed, update);
  }

  /** Harmless for a process without a terminal, as with containerd's own shim. */
  async resizePty(
    { id, execId, width, height }: ProcessId & { width: number; height: number },
  ): Promise<void> {
    const process = this.#tasks.process({ id, execId });
    process.assertLegal("resize");
    if (Math.max(width, height) > WINDOW_SIDE_MAX) {
      throw new RpcError(
        Code.InvalidArgument,
        `a terminal of ${width} by ${height} is more than ${WINDOW_SIDE_MAX} either way`,
      );
    }
    if (!process.name.terminal) return;
    const { guest } = this.#tasks.required();
    await answered("Task.ResizePty", CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.resizePty({ id, execId, width, height }, { timeoutMs });
    });
  }

  closeIO({ id, execId, stdin }: ProcessId & { stdin: boolean }): void {
    const process = this.#tasks.process({ id, execId });
    if (stdin) process.closeStdin();
  }

  /**
   * Writes what runs in the container into the folder `path`, by CRIU in the guest. It stands still
   * meanwhile; with the option `exit` it has ended afterwards.
   */
  async checkpoint(
    { id, path, options }: { id: string; path: string; options?: Any | undefined },
  ): Promise<void> {
    const container = this.#tasks.container(id);
    container.init.assertLegal("checkpoint");
    if (!path.startsWith("/")) {
      const why = `a checkpoint needs the absolute path of a folder, not ${JSON.stringify(path)}`;
      throw new RpcError(Code.InvalidArgument, why);
    }
    const asked = checkpointOptions(options);
    const { guest } = this.#tasks.required();
    const name = `checkpoint-${this.#checkpoints++}`;
    await container.occupy(async () => {
      try {
        await answered("Task.Checkpoint", CHECKPOINT_TIMEOUT_MS, (timeoutMs) => {
          return guest.task.checkpoint(
            { id, path: name, ...(asked === null ? {} : { options: asked }) },
            { timeoutMs },
          );
        });
        await fetchCheckpoint({ guest, name }, path, container.size.memoryMibMax * BYTES_PER_MIB);
      } finally {
        await guest.checkpoints.delete({ name }, { timeoutMs: CALL_TIMEOUT_MS }).catch(() => {});
      }
    });
    this.#host.events.checkpointed(id, path);
  }
}

/** While its limit changes, a container has the larger of what it needs before and after. */
async function withMemoryOf(
  balloon: Balloon,
  mib: number,
  update: () => Promise<unknown>,
): Promise<void> {
  const before = balloon.least;
  balloon.least = Math.max(before, mib);
  try {
    await update();
    balloon.least = mib;
  } catch (error) {
    balloon.least = before;
    throw error;
  }
}

function isUnanswered(error: unknown): boolean {
  return error instanceof RpcError &&
    (error.code === Code.DeadlineExceeded || error.code === Code.Unavailable);
}
