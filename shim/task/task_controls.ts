import { MIB, quoted } from "../../base/mod.ts";
import { SIG } from "../../ffi/mod.ts";
import {
  type Any,
  Code,
  encodeOciJson,
  type MessageInitShape,
  type taskV3,
} from "../../proto/mod.ts";
import type { Balloon } from "../../qemu/mod.ts";
import { fetchCheckpoint } from "../guest_client/checkpoint_files.ts";
import { checkpointOptions } from "../plan/checkpoint_options.ts";
import {
  checkedProcesses,
  checkedStats,
  type ListedProcess,
} from "../guest_client/guest_answers.ts";
import { answered } from "../guest_client/guest_connection.ts";
import { GuestError } from "../guest_client/guest_error.ts";
import type { Logger } from "../base/log.ts";
import { ociTypeUrl } from "../plan/oci.ts";
import type { SandboxMaker } from "../sandbox/sandbox_maker.ts";
import { KillDeadlines } from "./kill_deadlines.ts";
import { describe } from "./process.ts";
import { TaskError } from "./task_error.ts";
import type { TaskEvents } from "./task_events.ts";
import type { ProcessId, Tasks } from "./tasks.ts";
import { memoryFor, planUpdate } from "../plan/update_plan.ts";

/** Deadline for short calls. A guest that does not answer a SIGKILL by then is ended. */
const CALL_TIMEOUT_MS = 10_000;
/** The guest first writes its cache to a snapshot's disk (FLUSH_TIMEOUT_MS in guest/). */
const PAUSE_TIMEOUT_MS = 60_000;
/** CRIU writes all of the container's memory. */
const CHECKPOINT_TIMEOUT_MS = 610_000;
/** Rows and columns of a terminal have 16 bits: struct winsize of ioctl_tty(2). */
const WINDOW_SIDE_MAX = 65_535;

/** The surroundings of the controls. */
export interface TaskControlsDeps {
  readonly events: TaskEvents;
  readonly log: Logger;
  readonly sandboxes: Pick<SandboxMaker, "limiting">;
  /** Ends the VM, whose guest does not answer. */
  giveUp(reason: string): Promise<void>;
  /** How long an exit may take after SIGKILL. */
  readonly killTimeoutMs: number;
}

/** The calls that control or inspect what runs: checked against the state, sent to the guest. */
export class TaskControls {
  readonly #tasks: Tasks;
  readonly #deps: TaskControlsDeps;
  readonly #kills: KillDeadlines;
  #checkpoints = 0;

  constructor(tasks: Tasks, deps: TaskControlsDeps) {
    this.#tasks = tasks;
    this.#deps = deps;
    this.#kills = new KillDeadlines(deps);
  }

  async kill(
    { id, execId, signal, all }: ProcessId & { signal: number; all: boolean },
  ): Promise<void> {
    const process = this.#tasks.process({ id, execId });
    process.assertLegal("kill");
    const { guest } = this.#tasks.required();
    // Whatever the guest answers: only the exit shows that it has done it.
    if (execId === "" && signal === SIG.KILL) this.#kills.start(this.#tasks.container(id));
    try {
      await answered("Task.Kill", CALL_TIMEOUT_MS, (timeoutMs) => {
        return guest.task.kill({ id, execId, signal, all }, { timeoutMs });
      });
    } catch (error) {
      if (hasExited(error)) {
        const message = `${describe(process.name)}: process already finished`;
        throw new TaskError("not-found", message);
      }
      if (execId !== "" || signal !== SIG.KILL || !isUnanswered(error)) throw error;
      this.#deps.log.warn("the guest does not answer a kill, ending the VM");
      await this.#deps.giveUp("the guest does not answer");
    }
  }

  async pause({ id }: { id: string }): Promise<void> {
    const { init } = this.#tasks.container(id);
    init.assertLegal("pause");
    const { guest } = this.#tasks.required();
    await answered("Task.Pause", PAUSE_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.pause({ id }, { timeoutMs });
    });
    if (init.note("paused")) this.#deps.events.paused(id);
  }

  async resume({ id }: { id: string }): Promise<void> {
    const { init } = this.#tasks.container(id);
    init.assertLegal("resume");
    const { guest } = this.#tasks.required();
    await answered("Task.Resume", CALL_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.resume({ id }, { timeoutMs });
    });
    if (init.note("resumed")) this.#deps.events.resumed(id);
  }

  /**
   * Lists the processes with their pids in the guest. After the exit it lists the VM's own process
   * on the host until the container is deleted: a starting containerd takes a shim that lists
   * nothing for one left by a crash, and would remove it with an exit status that nobody has read.
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
    // The guest knows of the exit before we do.
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
    const inGuest = () =>
      answered("Task.Update", CALL_TIMEOUT_MS, (timeoutMs) => {
        return guest.task.update({ id, resources: any }, { timeoutMs });
      });
    const update = () => this.#deps.sandboxes.limiting(plan, inGuest);
    // One container's limit says nothing about what its whole pod needs.
    const needed = pod === null ? memoryFor(plan, container.size) : null;
    if (balloon === null || needed === null) await update();
    else await withMemoryOf(balloon, needed, update);
  }

  /** Does nothing for a process without a terminal, as containerd's own shim. */
  async resizePty(
    { id, execId, width, height }: ProcessId & { width: number; height: number },
  ): Promise<void> {
    const process = this.#tasks.process({ id, execId });
    process.assertLegal("resize");
    if (Math.max(width, height) > WINDOW_SIDE_MAX) {
      const message =
        `terminal of ${width} by ${height} is more than ${WINDOW_SIDE_MAX} either way`;
      throw new TaskError("invalid", message);
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
   * Writes the container's processes into the directory `path`, by CRIU in the guest. The container
   * is stopped meanwhile. With the option `exit` it has exited afterwards.
   */
  async checkpoint(
    { id, path, options }: { id: string; path: string; options?: Any | undefined },
  ): Promise<void> {
    const container = this.#tasks.container(id);
    container.init.assertLegal("checkpoint");
    if (!path.startsWith("/")) {
      const message = `checkpoint path ${quoted(path)} must be the absolute path of a directory`;
      throw new TaskError("invalid", message);
    }
    const asked = checkpointOptions(options);
    const { guest } = this.#tasks.required();
    const name = `checkpoint-${this.#checkpoints++}`;
    await container.occupy(async (signal) => {
      try {
        await answered("Task.Checkpoint", CHECKPOINT_TIMEOUT_MS, (timeoutMs) => {
          return guest.task.checkpoint(
            { id, path: name, ...(asked === null ? {} : { options: asked }) },
            { signal, timeoutMs },
          );
        });
        const bytesMax = container.size.memoryMibMax * MIB;
        await fetchCheckpoint({ guest, name }, path, bytesMax, signal);
      } finally {
        await guest.checkpoints.delete({ name }, { timeoutMs: CALL_TIMEOUT_MS }).catch(() => {});
      }
    });
    this.#deps.events.checkpointed(id, path);
  }
}

/** While its limit changes, a container has the larger of its memory before and after. */
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

/** The guest knows of the exit, and its report is on the way. */
function hasExited(error: unknown): boolean {
  return error instanceof GuestError && error.code === Code.NotFound;
}

function isUnanswered(error: unknown): boolean {
  return error instanceof GuestError &&
    (error.kind === "unanswered" || error.code === Code.Unavailable);
}
