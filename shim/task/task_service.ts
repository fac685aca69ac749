import { unsuppressed } from "../../base/mod.ts";
import {
  Code,
  encodeOciJson,
  type MessageInitShape,
  type taskTypes,
  type taskV3,
} from "../../proto/mod.ts";
import type { Logger } from "../base/log.ts";
import { type Exit, KILLED_STATUS } from "../guest_client/exit.ts";
import { answered, type GuestExit } from "../guest_client/guest_connection.ts";
import { GuestError } from "../guest_client/guest_error.ts";
import { streamIds } from "../guest_client/stream_ids.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import { type ExecRequest, planExec } from "../plan/exec_plan.ts";
import { ociTypeUrl } from "../plan/oci.ts";
import type { SandboxMaker } from "../sandbox/sandbox_maker.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { Container } from "./container.ts";
import { type ExitFields, exitFields } from "./exit_fields.ts";
import { PodContainers } from "./pod_containers.ts";
import type { Process } from "./process.ts";
import type { ProcessState } from "./process_state.ts";
import { TaskControls } from "./task_controls.ts";
import { TaskError } from "./task_error.ts";
import type { TaskEvents } from "./task_events.ts";
import { type ProcessId, Tasks } from "./tasks.ts";

/** The shim's process, which hears of the life of its container. */
export interface ShimEvents {
  /** The first container has started. */
  started(): void;
  /** The init of a container has exited. */
  stopped(): void;
  /** Ends this process, soon after the answer is on its way. */
  exit(): void;
}

/** The surroundings of the task service. */
export interface TaskServiceDeps {
  readonly events: TaskEvents;
  readonly log: Logger;
  readonly sandboxes: Pick<SandboxMaker, "create" | "join" | "openIo" | "keepFor" | "limiting">;
  readonly shim: ShimEvents;
  readonly drainTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly killTimeoutMs: number;
  /** How long the guest of a started container may answer nothing. */
  readonly guestTimeoutMs: number;
  readonly shimPid: number;
}

/** Deadline for a start, and for crun's part of an exec. */
const START_TIMEOUT_MS = 60_000;
/** CRIU reads all of the container's memory. */
const RESTORE_TIMEOUT_MS = 610_000;
/** Deadline for short calls. */
const CALL_TIMEOUT_MS = 10_000;

/** The value of containerd.v1.types.Status for each state. */
const STATUS: Readonly<Record<ProcessState["kind"], taskTypes.Status>> = {
  created: 1,
  running: 2,
  paused: 4,
  stopped: 3,
  deleted: 3,
};

/**
 * The task service: containerd's calls, checked against the state and sent to the guest. It serves
 * containerd.task.v2 and v3, whose messages have the same shapes.
 *
 * A task's pid is QEMU's: the process on this host whose exit is the task's exit.
 */
export class TaskService {
  readonly controls: TaskControls;
  readonly #deps: TaskServiceDeps;
  readonly #tasks = new Tasks();
  #creating: Promise<unknown> | null = null;
  readonly #podContainers: PodContainers;
  /** Processes whose exit the guest has reported, and which is not published yet. */
  readonly #exiting = new Set<Process>();
  #ending = false;
  /** Whether a container runs, or has run, in the sandbox. */
  #isStarted = false;
  #clean = true;
  #loss: Promise<void> | null = null;

  constructor(deps: TaskServiceDeps) {
    this.#deps = deps;
    this.#podContainers = new PodContainers(this.#tasks, deps);
    this.controls = new TaskControls(this.#tasks, {
      ...deps,
      giveUp: (reason) => this.#onLost(reason),
    });
  }

  /** Creates a container, in a new sandbox or in the pod's. */
  async create(request: CreateRequest): Promise<{ pid: number }> {
    if (this.#ending) throw new TaskError("unavailable", "the shim was told to exit");
    const { sandbox } = this.#tasks;
    if (sandbox !== null && sandbox.pod !== null) {
      return await this.#podContainers.join(request, sandbox.pod, sandbox.guest).catch((error) => {
        throw this.#reasonOf(error);
      });
    }
    if (sandbox !== null || this.#creating !== null) {
      const [other = "another one"] = this.#tasks.containers.keys();
      const message = `sandbox holds container ${other} already, cannot create ${request.id}`;
      throw new TaskError("already-exists", message);
    }
    const creation = this.#deps.sandboxes.create(request);
    this.#creating = creation;
    try {
      const { sandbox, io, size } = await creation;
      this.#tasks.sandbox = sandbox;
      this.#tasks.pid = sandbox.pid;
      this.#tasks.containers.set(
        request.id,
        new Container(request, { io, size }, this.#deps.drainTimeoutMs),
      );
      this.#deps.events.created(request, sandbox.pid);
      const failed = ({ message }: Error) => this.#deps.log.error(`exit not reported: ${message}`);
      sandbox.watch({
        onExit: (exit) => void this.#onGuestExit(exit).catch(failed),
        onOom: (id) => this.#onOom(id),
        onLost: (reason) => void this.#onLost(reason).catch(failed),
      });
      return { pid: sandbox.pid };
    } catch (error) {
      throw this.#reasonOf(error);
    } finally {
      this.#creating = null;
    }
  }

  /** Starts a container, or an exec process. */
  async start({ id, execId }: ProcessId): Promise<{ pid: number }> {
    const container = this.#tasks.container(id);
    const process = container.process(execId);
    if (process.isExec && container.init.hasEnded) {
      throw new TaskError("precondition", `container ${id}: its init process is not running`);
    }
    const { guest, pid } = this.#tasks.required();
    const isRestore = !process.isExec && container.request.checkpoint !== "";
    const inGuest = async () => {
      const timeoutMs = isRestore ? RESTORE_TIMEOUT_MS : START_TIMEOUT_MS;
      await answered("Task.Start", timeoutMs, async (timeoutMs) => {
        await guest.task.start({ id, execId }, { timeoutMs });
      });
    };
    const { events, shim } = this.#deps;
    await process.start(inGuest, () => {
      if (process.isExec) events.execStarted(id, execId, pid);
      else events.started(id, pid);
    });
    if (process.isExec || this.#isStarted) return { pid };
    this.#isStarted = true;
    shim.started();
    // Not before: while it starts, it needs the CPU for itself.
    this.#tasks.sandbox?.balloon?.hold();
    void this.#tasks.sandbox?.watchAnswers(this.#deps.guestTimeoutMs);
    return { pid };
  }

  /** Adds an exec process to a container. Its start runs it. */
  async exec(request: ExecRequest): Promise<void> {
    const { id, execId, terminal, stdin, stdout, stderr } = request;
    const container = this.#tasks.container(id);
    container.init.assertLegal("exec");
    const plan = planExec(request);
    using _reserved = container.reserve(execId);
    const { guest } = this.#tasks.required();
    const spec = { typeUrl: ociTypeUrl("Process"), value: encodeOciJson(plan) };
    const name = { id, execId, terminal, stdin, stdout, stderr };
    // Beside the call, which the streams may overtake (they wait in the guest): saves round trips.
    const refused = new AbortController();
    const opening = this.#deps.sandboxes.openIo(name, guest, refused.signal);
    opening.catch(() => {}); // awaited below, once the guest has answered
    try {
      await answered("Task.Exec", START_TIMEOUT_MS, (timeoutMs) => {
        return guest.task.exec(
          { id, execId, terminal, spec, ...streamIds(request) },
          { timeoutMs },
        );
      });
    } catch (error) {
      refused.abort(error);
      await opening.then((io) => io[Symbol.asyncDispose](), () => {});
      throw error;
    }
    let io: ProcessIo;
    try {
      io = await opening;
    } catch (error) {
      await this.#deleteInGuest({ id, execId });
      throw error;
    }
    if (this.#tasks.containers.get(id) !== container) {
      await io[Symbol.asyncDispose]();
      throw new TaskError("not-found", `container ${id} was deleted`);
    }
    container.addExec(name, io);
    this.#deps.events.execAdded(id, execId);
  }

  /** Returns the state of a container, or of an exec process. */
  state({ id, execId }: ProcessId): MessageInitShape<typeof taskV3.StateResponseSchema> {
    const { bundle } = this.#tasks.container(id).request;
    const { state, name } = this.#tasks.process({ id, execId });
    const { stdin, stdout, stderr, terminal } = name;
    return {
      id: execId === "" ? id : execId,
      bundle,
      // An exec that has not started has no process yet.
      pid: execId !== "" && state.kind === "created" ? 0 : this.#tasks.pid,
      status: STATUS[this.#kindOf(id, state)],
      ...{ stdin, stdout, stderr, terminal, execId },
      ...("exit" in state ? exitFields(state.exit) : {}),
    };
  }

  /** The execs of a paused container are paused with it. */
  #kindOf(id: string, { kind }: ProcessState): ProcessState["kind"] {
    const { init } = this.#tasks.container(id);
    return kind === "running" && init.state.kind === "paused" ? "paused" : kind;
  }

  /** Resolves when a process has exited and its exit is published. */
  async wait(process: ProcessId): Promise<ExitFields> {
    return exitFields(await this.#tasks.process(process).stopped);
  }

  /** Deletes an exec process, or a container. The sandbox ends with its last container. */
  async delete({ id, execId }: ProcessId): Promise<ExitFields & { readonly pid: number }> {
    const container = this.#tasks.container(id);
    const process = container.process(execId);
    process.assertDeletable();
    const { pid } = this.#tasks;
    if (process.isExec) {
      container.removeExec(execId);
      // Its id is not free until the guest has forgotten it too.
      using _reserved = container.reserve(execId);
      const exit = await process.delete();
      await this.#deleteInGuest({ id, execId });
      return { pid, ...exitFields(exit) };
    }
    // From here on no other call finds it, to delete it a second time.
    this.#tasks.containers.delete(id);
    await container.unoccupied();
    await container.deleteExecs();
    const exit = await process.delete();
    if (!this.#isOccupied) await this.#endSandbox();
    else await this.#podContainers.leave(container);
    this.#deps.events.deleted(id, pid, exit);
    return { pid, ...exitFields(exit) };
  }

  /** Whether the sandbox has a container, or one is on its way. */
  get #isOccupied(): boolean {
    return this.#tasks.containers.size + this.#podContainers.joining > 0 || this.#creating !== null;
  }

  /** Makes the guest forget an exec process. What it does not forget goes with the VM. */
  async #deleteInGuest({ id, execId }: ProcessId): Promise<void> {
    if (this.#tasks.sandbox === null) return;
    const { guest } = this.#tasks.sandbox;
    try {
      await answered("Task.Delete", CALL_TIMEOUT_MS, (timeoutMs) => {
        return guest.task.delete({ id, execId }, { timeoutMs });
      });
    } catch (error) {
      if (error instanceof GuestError && error.code === Code.NotFound) return;
      this.#deps.log.warn(`guest did not delete process ${execId}: ${(error as Error).message}`);
    }
  }

  /** Returns the pids of the shim and of the task. */
  connect({ id }: { id: string }): { shimPid: number; taskPid: number; version: string } {
    this.#tasks.container(id);
    const { shimPid } = this.#deps;
    return { shimPid, taskPid: this.#tasks.pid, version: "v2" };
  }

  /** Ends this shim, unless it has a container. */
  async shutdown(): Promise<void> {
    if (this.#isOccupied) return;
    await this.#endSandbox();
    this.#deps.shim.exit();
  }

  /** Ends everything without being asked by containerd: the shim was told to exit. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.allSettled([this.#creating, this.#podContainers.settled()]);
    await this.#endSandbox();
    await this.#allKilled();
  }

  async #endSandbox(): Promise<void> {
    const { sandbox } = this.#tasks;
    this.#tasks.sandbox = null;
    if (sandbox === null) return;
    try {
      await sandbox.end(this.#deps.shutdownTimeoutMs);
    } catch (error) {
      this.#notClean(`the sandbox did not end cleanly: ${(error as Error).message}`);
    }
  }

  /** Whether everything that ended sandboxes had acquired was released. */
  get isClean(): boolean {
    return this.#clean;
  }

  /** Returns the error that made a Create fail. Logs those of undoing what it had acquired. */
  #reasonOf(error: unknown): Error {
    const [reason, ...notUndone] = unsuppressed(error);
    for (const { message } of notUndone) {
      this.#notClean(`failed create was not undone cleanly: ${message}`);
    }
    return reason;
  }

  #notClean(what: string): void {
    this.#clean = false;
    this.#deps.log.error(what);
  }

  /**
   * Ignores processes that are not there, and exits that are being reported: a hostile guest may
   * report any, in any number.
   */
  async #onGuestExit({ containerId, processId, exit }: GuestExit): Promise<void> {
    const container = this.#tasks.containers.get(containerId);
    const process = processId === containerId ? container?.init : container?.exec(processId);
    if (container === undefined || process === undefined) return;
    if (process.hasEnded || this.#exiting.has(process)) return;
    this.#exiting.add(process);
    try {
      if (process.isExec) await this.#onExit(process, exit);
      else await this.#onInitExit(container, exit);
    } finally {
      this.#exiting.delete(process);
    }
  }

  #onOom(containerId: string): void {
    if (this.#tasks.containers.has(containerId)) this.#deps.events.oom(containerId);
  }

  /** Of several reasons the first counts. Each caller waits until the loss is dealt with. */
  #onLost(reason: string): Promise<void> {
    return this.#loss ??= this.#loseVm(reason);
  }

  async #loseVm(reason: string): Promise<void> {
    this.#deps.log.error(`the VM is lost: ${reason}`);
    this.#tasks.isLost = true;
    // The streams of a lost VM never end by themselves, so the resources go first.
    await this.#tasks.sandbox?.[Symbol.asyncDispose]().catch((error: Error) =>
      this.#notClean(`the lost VM's resources: ${error.message}`)
    );
    await this.#allKilled();
  }

  /** Every process of a VM ends with it. */
  async #allKilled(): Promise<void> {
    const exit = { status: KILLED_STATUS, at: new Date() };
    const containers = [...this.#tasks.containers.values()];
    await Promise.all(containers.map((one) => this.#onInitExit(one, exit)));
  }

  /**
   * Publishes the init's exit as the last one of its container. Nothing outlives an init: an exec
   * process whose exit the guest has not reported by now was killed.
   */
  async #onInitExit(container: Container, exit: Exit): Promise<void> {
    const others = Promise.all(container.execs.map(async (exec) => {
      await this.#onExit(exec, { status: KILLED_STATUS, at: exit.at });
      if (exec.hasEnded) await exec.stopped;
    }));
    await this.#onExit(container.init, exit, others);
  }

  async #onExit(process: Process, reported: Exit, others?: Promise<unknown>): Promise<void> {
    const exit = await process.exit(reported, others);
    if (exit === null) return;
    const { id, execId } = process.name;
    try {
      if (!process.isExec) this.#deps.shim.stopped();
      this.#deps.events.exited(id, execId || id, this.#tasks.pid, exit);
    } finally {
      process.announce(exit);
    }
  }
}
