import {
  Code,
  type MessageInitShape,
  RpcError,
  type taskTypes,
  type taskV3,
  type Timestamp,
  timestampFromDate,
} from "../../proto/mod.ts";
import type { VmSize } from "../../qemu/mod.ts";
import { Container } from "./container.ts";
import { type ExecRequest, planExec } from "../plan/exec_plan.ts";
import {
  answered,
  type GuestConnection,
  type GuestExit,
} from "../guest_client/guest_connection.ts";
import type { Logger } from "../base/log.ts";
import { Members, type MembersHost } from "./members.ts";
import { encodeOciJson } from "../plan/oci_json.ts";
import { ociTypeUrl } from "../plan/oci.ts";
import type { Process } from "./process.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { ProcessState } from "./process_state.ts";
import { reasons } from "../base/reasons.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { streamIds } from "../guest_client/stream_ids.ts";
import { TaskControls } from "./task_controls.ts";
import type { TaskEvents } from "./task_events.ts";
import { type ProcessId, Tasks } from "./tasks.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import { type Exit, KILLED_STATUS } from "../guest_client/exit.ts";
import type { ProcessName } from "../stdio/process_name.ts";

/** What the service needs from the process that it runs in. */
export interface TaskServiceHost extends MembersHost {
  readonly events: TaskEvents;
  readonly log: Logger;
  /** Plans and makes a sandbox with its first container; nothing is left when it fails. */
  createSandbox(
    request: CreateRequest,
  ): Promise<{ sandbox: Sandbox; io: ProcessIo; size: VmSize }>;
  /**
   * Joins an exec's streams in the guest to what containerd named.
   * @param refused the guest will not have the exec: gives up.
   */
  openIo(name: ProcessName, guest: GuestConnection, refused: AbortSignal): Promise<ProcessIo>;
  onStarted(): void;
  onStopped(): void;
  /** Ends this process, soon after the answer is on its way. */
  exit(): void;
  readonly drainTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly shimPid: number;
}

/** A start, or crun's part of an exec, that takes longer has failed. Milliseconds. */
const START_TIMEOUT_MS = 60_000;
/** CRIU reads all of the container's memory. Milliseconds. */
const RESTORE_TIMEOUT_MS = 610_000;
/** What the guest has to answer soon. Milliseconds. */
const CALL_TIMEOUT_MS = 10_000;

/** How a process ended, as several answers tell it. */
interface ExitFields {
  readonly exitStatus: number;
  readonly exitedAt: Timestamp;
}

/** The value of containerd.v1.types.Status for each state. */
const STATUS: Readonly<Record<ProcessState["kind"], taskTypes.Status>> = {
  created: 1,
  running: 2,
  paused: 4,
  stopped: 3,
  deleted: 3,
};

/**
 * The task service: containerd's calls, checked against the state and forwarded into the guest. It
 * serves containerd.task.v2 and v3, whose messages have the same shapes.
 *
 * A task's pid is QEMU's: the process on this host whose end is the task's end.
 */
export class TaskService {
  readonly controls: TaskControls;
  readonly #host: TaskServiceHost;
  readonly #tasks = new Tasks();
  #creating: Promise<unknown> | null = null;
  readonly #members: Members;
  #ending = false;
  /** Whether a container runs, or has run, in the sandbox. */
  #isStarted = false;
  #clean = true;

  constructor(host: TaskServiceHost) {
    this.#host = host;
    const { events, log } = host;
    this.#members = new Members(this.#tasks, host);
    this.controls = new TaskControls(this.#tasks, {
      events,
      log,
      giveUp: (reason) => this.#onLost(reason),
    });
  }

  async create(request: CreateRequest): Promise<{ pid: number }> {
    if (this.#ending) throw new RpcError(Code.Unavailable, "the shim was told to end");
    const { sandbox } = this.#tasks;
    if (sandbox !== null && sandbox.pod !== null) {
      return await this.#members.join(request, sandbox.pod, sandbox.guest).catch((error) => {
        throw this.#reasonOf(error);
      });
    }
    if (sandbox !== null || this.#creating !== null) {
      throw new RpcError(
        Code.AlreadyExists,
        `a sandbox holds one container; ${request.id} is not it`,
      );
    }
    const creation = this.#host.createSandbox(request);
    this.#creating = creation;
    try {
      const { sandbox, io, size } = await creation;
      this.#tasks.sandbox = sandbox;
      this.#tasks.pid = sandbox.pid;
      this.#tasks.containers.set(
        request.id,
        new Container(request, { io, size }, this.#host.drainTimeoutMs),
      );
      this.#host.events.created(request, sandbox.pid);
      const failed = (error: Error) => this.#host.log.error(`reporting an exit: ${error.message}`);
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

  async start({ id, execId }: ProcessId): Promise<{ pid: number }> {
    const container = this.#tasks.container(id);
    const process = container.process(execId);
    if (process.isExec && container.init.hasEnded) {
      const why = `container ${id}: its init process is not running`;
      throw new RpcError(Code.FailedPrecondition, why);
    }
    const { guest, pid } = this.#tasks.required();
    const isRestore = !process.isExec && container.request.checkpoint !== "";
    const inGuest = async () => {
      const timeoutMs = isRestore ? RESTORE_TIMEOUT_MS : START_TIMEOUT_MS;
      await answered("Task.Start", timeoutMs, async (timeoutMs) => {
        await guest.task.start({ id, execId }, { timeoutMs });
      });
    };
    const { events } = this.#host;
    await process.start(inGuest, () => {
      if (process.isExec) events.execStarted(id, execId, pid);
      else events.started(id, pid);
    });
    if (process.isExec || this.#isStarted) return { pid };
    this.#isStarted = true;
    this.#host.onStarted();
    // Not before: while it starts, it needs the processor for itself.
    this.#tasks.sandbox?.balloon?.hold();
    return { pid };
  }

  /** Adds a process to a container; it runs from its start on. */
  async exec(request: ExecRequest): Promise<void> {
    const { id, execId, terminal, stdin, stdout, stderr } = request;
    const container = this.#tasks.container(id);
    container.init.assertLegal("exec");
    const plan = planExec(request);
    using _reserved = container.reserve(execId);
    const { guest } = this.#tasks.required();
    const spec = { typeUrl: ociTypeUrl("Process"), value: encodeOciJson(plan) };
    const name = { id, execId, terminal, stdin, stdout, stderr };
    // Beside the call, which they may overtake (the guest lets them wait): it saves round trips.
    const refused = new AbortController();
    const opening = this.#host.openIo(name, guest, refused.signal);
    opening.catch(() => {}); // heard below, once the guest has answered
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
      throw new RpcError(Code.NotFound, `container ${id} was deleted`);
    }
    container.addExec(name, io);
    this.#host.events.execAdded(id, execId);
  }

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

  /** What runs in a paused container is paused with it. */
  #kindOf(id: string, { kind }: ProcessState): ProcessState["kind"] {
    const { init } = this.#tasks.container(id);
    return kind === "running" && init.state.kind === "paused" ? "paused" : kind;
  }

  async wait(process: ProcessId): Promise<ExitFields> {
    return exitFields(await this.#tasks.process(process).stopped);
  }

  /** Deletes an exec, or the container; the sandbox ends with its last one. */
  async delete({ id, execId }: ProcessId): Promise<ExitFields & { readonly pid: number }> {
    const container = this.#tasks.container(id);
    const process = container.process(execId);
    process.assertDeletable();
    const { pid } = this.#tasks;
    if (process.isExec) {
      container.removeExec(execId);
      // Until the guest has forgotten it too, its id is not free.
      using _reserved = container.reserve(execId);
      const exit = await process.delete();
      await this.#deleteInGuest({ id, execId });
      return { pid, ...exitFields(exit) };
    }
    // From here on, nobody else finds it to delete it a second time.
    this.#tasks.containers.delete(id);
    await container.unoccupied();
    await container.deleteExecs();
    const exit = await process.delete();
    if (!this.#isOccupied) await this.#endSandbox();
    else await this.#members.leave(container);
    this.#host.events.deleted(id, pid, exit);
    return { pid, ...exitFields(exit) };
  }

  /** Whether the sandbox has a container, or is about to get one. */
  get #isOccupied(): boolean {
    return this.#tasks.containers.size + this.#members.joining > 0 || this.#creating !== null;
  }

  /** The guest forgets an exec. What it does not forget goes with the VM. */
  async #deleteInGuest({ id, execId }: ProcessId): Promise<void> {
    if (this.#tasks.sandbox === null) return;
    const { guest } = this.#tasks.sandbox;
    try {
      await guest.task.delete({ id, execId }, { timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      if (error instanceof RpcError && error.code === Code.NotFound) return;
      this.#host.log.warn(`guest did not delete process ${execId}: ${(error as Error).message}`);
    }
  }

  connect({ id }: { id: string }): { shimPid: number; taskPid: number; version: string } {
    this.#tasks.container(id);
    const { shimPid } = this.#host;
    return { shimPid, taskPid: this.#tasks.pid, version: "v2" };
  }

  /** Ends this shim, unless it still has a container. */
  async shutdown(): Promise<void> {
    if (this.#isOccupied) return;
    await this.#endSandbox();
    this.#host.exit();
  }

  /** Ends everything without being asked by containerd: the shim itself was told to end. */
  async end(): Promise<void> {
    this.#ending = true;
    await Promise.allSettled([this.#creating, this.#members.settled()]);
    await this.#endSandbox();
    await this.#allKilled();
  }

  async #endSandbox(): Promise<void> {
    const { sandbox } = this.#tasks;
    this.#tasks.sandbox = null;
    if (sandbox === null) return;
    try {
      await sandbox.end(this.#host.shutdownTimeoutMs);
    } catch (error) {
      this.#notClean(`the sandbox did not end cleanly: ${(error as Error).message}`);
    }
  }

  /** Whether all that sandboxes acquired was released again, as far as they have ended. */
  get isClean(): boolean {
    return this.#clean;
  }

  /** What made a Create fail, where undoing what had been acquired failed after it. */
  #reasonOf(error: unknown): Error {
    const [reason, ...notUndone] = reasons(error);
    for (const { message } of notUndone) {
      this.#notClean(`a create that failed was not undone cleanly: ${message}`);
    }
    return reason;
  }

  #notClean(what: string): void {
    this.#clean = false;
    this.#host.log.error(what);
  }

  /** What is not ours, as a hostile guest would report it, is ignored. */
  async #onGuestExit({ containerId, processId, exit }: GuestExit): Promise<void> {
    const container = this.#tasks.containers.get(containerId);
    if (container === undefined) return;
    if (processId === containerId) return await this.#onInitExit(container, exit);
    const exec = container.execs.find(({ name }) => name.execId === processId);
    if (exec !== undefined) await this.#onExit(exec, exit);
  }

  #onOom(containerId: string): void {
    if (this.#tasks.containers.has(containerId)) this.#host.events.oom(containerId);
  }

  async #onLost(reason: string): Promise<void> {
    this.#host.log.error(`the VM is lost: ${reason}`);
    this.#tasks.isLost = true;
    // Without its VM no stream can be waited for: the rest of the resources goes first.
    await this.#tasks.sandbox?.[Symbol.asyncDispose]().catch((error: Error) =>
      this.#notClean(`the lost VM's resources: ${error.message}`)
    );
    await this.#allKilled();
  }

  /** What runs in a VM ends with it. */
  async #allKilled(): Promise<void> {
    const exit = { status: KILLED_STATUS, at: new Date() };
    const containers = [...this.#tasks.containers.values()];
    await Promise.all(containers.map((one) => this.#onInitExit(one, exit)));
  }

  /**
   * The init's exit is the last one to be told of a container. Nothing outlives an init: an exec
   * whose end the guest has not reported by now was killed.
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
      if (!process.isExec) this.#host.onStopped();
      this.#host.events.exited(id, execId || id, this.#tasks.pid, exit);
    } finally {
      process.announce(exit);
    }
  }
}

function exitFields(exit: Exit): ExitFields {
  return { exitStatus: exit.status, exitedAt: timestampFromDate(exit.at) };
}
