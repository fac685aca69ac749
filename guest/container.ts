import { type ExitStatus, type Pid } from "../ffi/mod.ts";
import { Code, RpcError } from "../proto/mod.ts";
import { type Cgroups } from "./cgroup.ts";
import { type ContainerEvent, type ContainerState, transition } from "./container_state.ts";
import { type Crun } from "./crun.ts";
import { quoted } from "./ids.ts";
import { type ProcessStdio, type StdioIds } from "./process_stdio.ts";
import { type ReapedProcess, type Reaper } from "./reaper.ts";

/** What a container is made of. */
export interface ContainerParts {
  readonly id: string;
  readonly bundle: string;
  readonly ids: StdioIds;
  readonly stdio: ProcessStdio;
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly cgroups: Cgroups;
  /** Hears of the init's exit, once, never before the call that started it is answered. */
  readonly onExit: (container: Container, exit: ExitStatus) => void;
}

/** One container: its init process, its stdio and where it is in its life. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly ids: StdioIds;
  readonly #parts: ContainerParts;
  readonly #exited = Promise.withResolvers<ExitStatus>();
  #state: ContainerState = { name: "creating" };
  #init: ReapedProcess | null = null;
  #cgroup: string | null = null;
  #starting: Promise<unknown> = Promise.resolve();

  constructor(parts: ContainerParts) {
    this.id = parts.id;
    this.bundle = parts.bundle;
    this.ids = parts.ids;
    this.#parts = parts;
    this.#exited.promise.catch(() => {}); // it may be that nobody waits
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** How the init ended, or will have ended. Rejects when the container could not be created. */
  get exited(): Promise<ExitStatus> {
    return this.#exited.promise;
  }

  /** The init's pid, 0 while there is none. */
  get pid(): Pid | 0 {
    return this.#state.name === "creating" ? 0 : this.#state.pid;
  }

  /**
   * Creates it. When that fails, nothing is left of it.
   *
   * @throws {RpcError} what crun says
   */
  async create(): Promise<Pid> {
    const { id, bundle, stdio, crun, reaper } = this.#parts;
    using nursery = reaper.openNursery();
    try {
      const pid = await crun.create(
        id,
        bundle,
        stdio.childFds,
        () => stdio.closeChildEnds(),
      ) as Pid;
      this.#init = nursery.claim(pid);
      this.#cgroup = this.#parts.cgroups.of(pid);
    } catch (error) {
      stdio[Symbol.dispose]();
      // crun undoes a failed create itself; what is left if it died on the way goes with this.
      await crun.delete(id).catch(() => {});
      const failure = new RpcError(Code.NotFound, `container ${quoted(id)} was not created`);
      this.#exited.reject(failure);
      throw error;
    }
    this.#init.exited.then((exit) => this.#onExit(exit));
    return this.#expect({ name: "created", pid: this.#init.pid }, "create");
  }

  /** @throws {RpcError} FailedPrecondition, what crun says */
  async start(): Promise<Pid> {
    const pid = this.#expect({ name: "start" }, "start");
    const started = this.#parts.crun.start(this.id);
    this.#starting = started.catch(() => {});
    try {
      await started;
    } catch (error) {
      this.#apply({ name: "start failed" });
      throw error;
    }
    this.#apply({ name: "started" });
    return pid;
  }

  /**
   * Signals the init, or all processes.
   *
   * @throws {RpcError} NotFound: it has ended; FailedPrecondition; InvalidArgument: no such signal
   */
  async kill(signal: number, all: boolean): Promise<void> {
    if (this.#state.name === "creating") throw this.#refusal("kill");
    if (this.#init === null || this.#state.name === "stopped" || this.#state.name === "deleting") {
      throw finished();
    }
    if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
      throw new RpcError(Code.InvalidArgument, `no such signal: ${signal}`);
    }
    if (all) return await this.#parts.crun.killAll(this.id, signal);
    // What `crun kill` does, without the process: nobody else can free the init's pid.
    if (!this.#parts.reaper.kill(this.#init, signal)) throw finished();
  }

  /** The container's processes. */
  pids(): number[] {
    if (this.#state.name === "creating") throw this.#refusal("pids");
    return this.#cgroup === null ? [] : this.#parts.cgroups.processes(this.#cgroup);
  }

  closeStdin(): void {
    this.#parts.stdio.closeInput();
  }

  /**
   * Deletes a container that has stopped or never started; the latter is killed.
   *
   * @throws {RpcError} FailedPrecondition, what crun says
   */
  async delete(): Promise<ExitStatus> {
    this.#expect({ name: "delete" }, "delete");
    try {
      await this.#parts.crun.delete(this.id);
    } catch (error) {
      this.#apply({ name: "delete failed" });
      throw error;
    }
    const exit = await this.exited;
    this.#parts.stdio[Symbol.dispose]();
    return exit;
  }

  async #onExit(exit: ExitStatus): Promise<void> {
    // With no pid namespace of its own, what it started is still there and holds its files.
    if (this.#cgroup !== null) this.#parts.cgroups.kill(this.#cgroup);
    await this.#starting;
    this.#parts.stdio.exited();
    this.#apply({ name: "exited", exit });
    this.#exited.resolve(exit);
    this.#parts.onExit(this, exit);
  }

  /** Does what a caller asked for, or refuses it. Returns the init's pid. */
  #expect(event: ContainerEvent, call: string): Pid {
    const next = transition(this.#state, event);
    if (next === null) throw this.#refusal(call);
    this.#state = next;
    return this.pid as Pid;
  }

  /** Notes what has happened. */
  #apply(event: ContainerEvent): void {
    const next = transition(this.#state, event);
    if (next === null) {
      throw new Error(`container ${this.id}: ${event.name} while ${this.#state.name}`);
    }
    this.#state = next;
  }

  #refusal(call: string): RpcError {
    return new RpcError(
      Code.FailedPrecondition,
      `cannot ${call} container ${quoted(this.id)}: it is ${this.#state.name}`,
    );
  }
}

function finished(): RpcError {
  return new RpcError(Code.NotFound, "process already finished");
}
