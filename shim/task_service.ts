import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  Code,
  type MessageInitShape,
  RpcError,
  type taskTypes,
  type taskV3,
} from "../proto/mod.ts";
import { SIG } from "../ffi/mod.ts";
import { Container } from "./container.ts";
import type { CreateRequest } from "./create_plan.ts";
import { KILLED_STATUS } from "./delete.ts";
import { answered, type GuestExit } from "./guest_connection.ts";
import type { Logger } from "./log.ts";
import type { ProcessIo } from "./process_io.ts";
import type { Exit, ProcessState } from "./process_state.ts";
import type { Sandbox } from "./sandbox.ts";
import type { TaskEvents } from "./task_events.ts";

/** What the service needs from the process that it runs in. */
export interface TaskServiceHost {
  readonly events: TaskEvents;
  readonly log: Logger;
  /** Plans and makes a sandbox with its first container; nothing is left when it fails. */
  createSandbox(request: CreateRequest): Promise<{ sandbox: Sandbox; io: ProcessIo }>;
  onStarted(): void;
  onStopped(): void;
  /** Ends this process, soon after the answer is on its way. */
  exit(): void;
  readonly drainTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly shimPid: number;
}

/** A guest that does not answer a kill within this is killed itself. Milliseconds. */
const KILL_TIMEOUT_MS = 10_000;
/** A list of processes takes no longer. Milliseconds. */
const PIDS_TIMEOUT_MS = 10_000;
/** A start that takes longer has failed. Milliseconds. */
const START_TIMEOUT_MS = 60_000;

/** How a process ended, as several answers tell it. */
interface ExitFields {
  readonly exitStatus: number;
  readonly exitedAt: Timestamp;
}

/** The value of containerd.v1.types.Status for each state. */
const STATUS: Readonly<Record<ProcessState["kind"], taskTypes.Status>> = {
  created: 1,
  running: 2,
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
  readonly #host: TaskServiceHost;
  readonly #containers = new Map<string, Container>();
  #sandbox: Sandbox | null = null;
  /** The sandbox's, also when it has ended already. */
  #pid = 0;
  #creating: Promise<unknown> | null = null;
  #ending = false;
  #clean = true;

  constructor(host: TaskServiceHost) {
    this.#host = host;
  }

  async create(request: CreateRequest): Promise<{ pid: number }> {
    if (this.#sandbox !== null || this.#creating !== null) {
      throw new RpcError(
        Code.AlreadyExists,
        `a sandbox holds one container; ${request.id} is not it`,
      );
    }
    if (this.#ending) throw new RpcError(Code.Unavailable, "the shim was told to end");
    const creation = this.#host.createSandbox(request);
    this.#creating = creation;
    try {
      const { sandbox, io } = await creation;
      this.#sandbox = sandbox;
      this.#pid = sandbox.pid;
      this.#containers.set(
        request.id,
        new Container(request, io, this.#host.drainTimeoutMs),
      );
      this.#host.events.created(request, sandbox.pid);
      const failed = (error: Error) => this.#host.log.error(`reporting an exit: ${error.message}`);
      sandbox.watch({
        onExit: (exit) => void this.#onGuestExit(exit).catch(failed),
        onLost: (reason) => void this.#onLost(reason).catch(failed),
      });
      return { pid: sandbox.pid };
    } catch (error) {
      throw this.#reasonOf(error);
    } finally {
      this.#creating = null;
    }
  }

  async start({ id, execId }: { id: string; execId: string }): Promise<{ pid: number }> {
    const container = this.#init(id, execId);
    const { guest, pid } = this.#required();
    await container.start(async () => {
      await answered("Task.Start", START_TIMEOUT_MS, async (timeoutMs) => {
        await guest.task.start({ id }, { timeoutMs });
      });
    });
    this.#host.onStarted();
    this.#host.events.started(id, pid);
    return { pid };
  }

  state(
    { id, execId }: { id: string; execId: string },
  ): MessageInitShape<typeof taskV3.StateResponseSchema> {
    const container = this.#init(id, execId);
    const { state, request } = container;
    return {
      id,
      bundle: request.bundle,
      pid: this.#pid,
      status: STATUS[state.kind],
      stdin: request.stdin,
      stdout: request.stdout,
      stderr: request.stderr,
      terminal: request.terminal,
      execId: "",
      ...("exit" in state ? exitFields(state.exit) : {}),
    };
  }

  async pids({ id }: { id: string }): Promise<{ processes: { pid: number }[] }> {
    const container = this.#init(id, "");
    container.assertLegal("pids");
    if (container.state.kind === "stopped") return { processes: [] };
    const { guest } = this.#required();
    const { processes } = await answered("Task.Pids", PIDS_TIMEOUT_MS, (timeoutMs) => {
      return guest.task.pids({ id }, { timeoutMs });
    });
    return { processes: processes.map(({ pid }) => ({ pid })) };
  }

  async kill(
    { id, execId, signal, all }: { id: string; execId: string; signal: number; all: boolean },
  ): Promise<void> {
    const container = this.#init(id, execId);
    container.assertLegal("kill");
    const sandbox = this.#required();
    try {
      await sandbox.guest.task.kill({ id, signal, all }, { timeoutMs: KILL_TIMEOUT_MS });
    } catch (error) {
      if (signal !== SIG.KILL || !isUnanswered(error)) throw error;
      this.#host.log.warn(`the guest does not answer a kill: the VM is ended`);
      await this.#onLost("the guest does not answer");
    }
  }

  async wait({ id, execId }: { id: string; execId: string }): Promise<ExitFields> {
    return exitFields(await this.#init(id, execId).stopped);
  }

  closeIO({ id, execId, stdin }: { id: string; execId: string; stdin: boolean }): void {
    if (stdin) this.#init(id, execId).closeStdin();
  }

  /** Deletes the container; the sandbox ends with its last one. */
  async delete(
    { id, execId }: { id: string; execId: string },
  ): Promise<ExitFields & { readonly pid: number }> {
    const container = this.#init(id, execId);
    container.assertLegal("delete");
    // From here on, nobody else finds it to delete it a second time.
    this.#containers.delete(id);
    const pid = this.#pid;
    const exit = await container.delete();
    if (this.#containers.size === 0) await this.#endSandbox();
    this.#host.events.deleted(id, pid, exit);
    return { pid, ...exitFields(exit) };
  }

  connect({ id }: { id: string }): { shimPid: number; taskPid: number; version: string } {
    this.#init(id, "");
    const { shimPid } = this.#host;
    return { shimPid, taskPid: this.#pid, version: "v2" };
  }

  /** Ends this shim, unless it still has a container. */
  async shutdown(): Promise<void> {
    if (this.#containers.size > 0 || this.#creating !== null) return;
    await this.#endSandbox();
    this.#host.exit();
  }

  /** Ends everything without being asked by containerd: the shim itself was told to end. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#creating?.catch(() => {});
    await this.#endSandbox();
    await this.#allKilled();
  }

  async #endSandbox(): Promise<void> {
    const sandbox = this.#sandbox;
    this.#sandbox = null;
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
  #reasonOf(error: unknown): unknown {
    let reason = error;
    while (reason instanceof SuppressedError) {
      this.#notClean(`a create that failed was not undone cleanly: ${reason.error}`);
      reason = reason.suppressed;
    }
    return reason;
  }

  #notClean(what: string): void {
    this.#clean = false;
    this.#host.log.error(what);
  }

  /** An exit of something that is not ours is what a hostile guest would report: it is ignored. */
  async #onGuestExit({ containerId, processId, exit }: GuestExit): Promise<void> {
    const container = this.#containers.get(containerId);
    if (container !== undefined && processId === containerId) await this.#onExit(container, exit);
  }

  async #onLost(reason: string): Promise<void> {
    this.#host.log.error(`the VM is lost: ${reason}`);
    // Without its VM no stream can be waited for: the rest of the resources goes first.
    await this.#sandbox?.[Symbol.asyncDispose]().catch((error: Error) =>
      this.#notClean(`the lost VM's resources: ${error.message}`)
    );
    await this.#allKilled();
  }

  /** What runs in a VM ends with it. */
  async #allKilled(): Promise<void> {
    const exit = { status: KILLED_STATUS, at: new Date() };
    await Promise.all([...this.#containers.values()].map((one) => this.#onExit(one, exit)));
  }

  async #onExit(container: Container, reported: Exit): Promise<void> {
    const exit = await container.exit(reported);
    if (exit === null) return;
    try {
      this.#host.onStopped();
      this.#host.events.exited(container.id, this.#pid, exit);
    } finally {
      container.announce(exit);
    }
  }

  #init(id: string, execId: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RpcError(Code.NotFound, `no container ${id}`);
    if (execId !== "") throw new RpcError(Code.NotFound, `no process ${execId} in container ${id}`);
    return container;
  }

  #required(): Sandbox {
    if (this.#sandbox === null) throw new RpcError(Code.FailedPrecondition, "the VM is gone");
    return this.#sandbox;
  }
}

function exitFields(exit: Exit): ExitFields {
  return { exitStatus: exit.status, exitedAt: timestampFromDate(exit.at) };
}

function isUnanswered(error: unknown): boolean {
  return error instanceof RpcError &&
    (error.code === Code.DeadlineExceeded || error.code === Code.Unavailable);
}
