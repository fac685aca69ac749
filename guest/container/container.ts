import { quoted, withDeadline } from "../../base/mod.ts";
import { type ExitStatus, type Pid, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../../proto/mod.ts";
import { type Nursery, type ReapedProcess, type Reaper } from "../base/reaper.ts";
import { type Cgroups } from "../cgroup/cgroup.ts";
import { type CgroupMetrics } from "../cgroup/cgroup_metrics.ts";
import { ContainerCgroup } from "../cgroup/container_cgroup.ts";
import { type CheckpointOptions, noteFlags } from "../runtime/checkpoint_options.ts";
import { type Crun } from "../runtime/crun.ts";
import { type JsonObject } from "../runtime/oci_json.ts";
import { packWritable } from "../runtime/writable_layer.ts";
import { type ProcessStdio, type StdioIds } from "../stdio/process_stdio.ts";
import { type StdioDeps } from "../stdio/stdio_endpoint.ts";
import {
  CONTAINER_TRANSITIONS,
  type ContainerEvent,
  type ContainerState,
  statusOf,
} from "./container_state.ts";
import { Execs } from "./execs.ts";
import { type InitBirth } from "./init_birth.ts";
import { Lifecycle } from "./lifecycle.ts";
import { alreadyFinished, checkSignal, type Process } from "./process.ts";

/** A signal's number plus this is the exit code of a process that it killed. */
const SIGNALLED = 128;
/** Limit of a flush: all of the guest's memory may be dirty. The host waits 60 s for a pause. */
const FLUSH_TIMEOUT_MS = 45_000;

/** One container: its init process, its exec processes and its state. */
export class Container implements Process {
  readonly id: string;
  readonly execId = "";
  readonly bundle: string;
  readonly ids: StdioIds;
  readonly execs: Execs;
  readonly #deps: ContainerDeps;
  readonly #life: Lifecycle<ContainerState, ContainerEvent>;
  readonly #exited = Promise.withResolvers<ExitStatus>();
  #init: ReapedProcess | null = null;
  #cgroup: ContainerCgroup | null = null;
  #starting: Promise<unknown> = Promise.resolve();
  #isCheckpointed = false;

  constructor(deps: ContainerDeps) {
    this.id = deps.id;
    this.bundle = deps.bundle;
    this.ids = deps.ids;
    this.#deps = deps;
    const name = `container ${quoted(deps.id)}`;
    this.#life = new Lifecycle(CONTAINER_TRANSITIONS, name, { kind: "creating" });
    this.execs = new Execs({
      ...deps,
      containerId: deps.id,
      admit: (call) => this.#life.require(call, ["created", "running"]),
      onExit: (exec, exit) => this.#reportExit(exec, exit),
    });
    this.#exited.promise.catch(() => {}); // nobody may be waiting
  }

  get #state(): ContainerState {
    return this.#life.state;
  }

  #isIn(kind: ContainerState["kind"]): boolean {
    return this.#state.kind === kind;
  }

  get status(): taskTypes.Status {
    return statusOf(this.#state);
  }

  get exit(): ExitStatus | null {
    const state = this.#state;
    return "exit" in state ? state.exit : null;
  }

  /** Resolves with the init's exit. Rejects if the container could not be created. */
  get exited(): Promise<ExitStatus> {
    return this.#exited.promise;
  }

  /** The init's pid; 0 while there is none. */
  get pid(): Pid | 0 {
    const state = this.#state;
    return state.kind === "creating" ? 0 : state.pid;
  }

  /**
   * Creates the container. A failure leaves nothing behind.
   *
   * @throws {RpcError} crun's error
   */
  async create(): Promise<void> {
    const { id, bundle, stdio, crun, reaper, birth } = this.#deps;
    using nursery = reaper.openNursery();
    let init: ReapedProcess | null;
    try {
      init = this.#adopt(nursery, await birth.create(id, bundle, stdio));
    } catch (error) {
      stdio[Symbol.dispose]();
      this.#cgroup?.[Symbol.dispose]();
      // crun undoes a failed create itself; this removes what is left if it died midway.
      await crun.delete(id).catch(() => {});
      const failure = new RpcError(Code.NotFound, `container ${quoted(id)} was not created`);
      this.#exited.reject(failure);
      throw error;
    }
    init?.exited.then((exit) => this.#onExit(exit));
    this.#life.request({ kind: "created", pid: init?.pid ?? 0 }, "create");
  }

  /** @throws {RpcError} FailedPrecondition, or crun's error */
  async start(): Promise<Pid> {
    this.#life.request({ kind: "start" }, "start");
    const starting = this.#start();
    this.#starting = starting.catch(() => {});
    try {
      const { pid } = await starting;
      this.#life.record({ kind: "started", pid });
      return pid;
    } catch (error) {
      this.#life.record({ kind: "start failed" });
      throw error;
    }
  }

  async #start(): Promise<ReapedProcess> {
    const { id, bundle, stdio, reaper, birth } = this.#deps;
    using nursery = reaper.openNursery();
    const restored = this.#adopt(nursery, await birth.start(id, bundle, stdio));
    restored?.exited.then((exit) => this.#onExit(exit));
    return this.#init!;
  }

  /** Takes the init over from crun, if it exists by now. */
  #adopt(nursery: Nursery, pid: number | null): ReapedProcess | null {
    if (pid === null) return null;
    this.#init = nursery.claim(pid as Pid);
    this.#cgroup = this.#cgroupOf(pid as Pid);
    this.#deps.stdio.created();
    return this.#init;
  }

  async kill(signal: number, all: boolean): Promise<void> {
    const { kind } = this.#state;
    if (kind === "creating") throw this.#life.refusal("kill");
    if (kind === "stopped" || kind === "deleting") throw alreadyFinished();
    checkSignal(signal);
    if (this.#init === null) {
      if (kind !== "created") throw this.#life.refusal("kill");
      return await this.#onExit(this.#exitWithoutInit(signal));
    }
    // `crun kill --all` would thaw it.
    if (all && kind === "paused") return this.#requireCgroup().signalFrozen(signal);
    if (all) return await this.#deps.crun.killAll(this.id, signal);
    // The same as `crun kill`, without the process: nobody else can free the init's pid.
    if (!this.#deps.reaper.kill(this.#init, signal)) throw alreadyFinished();
  }

  /**
   * Freezes all processes and flushes the snapshot's disk, so that everything written is on the
   * disk while the container is paused.
   *
   * @throws {RpcError} FailedPrecondition; DeadlineExceeded: the container continues; NotFound: it
   *   has exited
   */
  async pause(): Promise<void> {
    this.#life.request({ kind: "pause" }, "pause");
    try {
      // A process that is entering the cgroup would be frozen half-way, and crun with it.
      await this.execs.settled();
      await this.#requireCgroup().freeze();
      await this.#flush();
    } catch (error) {
      if (this.#isIn("pausing")) {
        this.#cgroup?.thaw();
        this.#life.record({ kind: "pause failed" });
      }
      throw error;
    }
    if (!this.#isIn("pausing")) throw alreadyFinished();
    this.#life.record({ kind: "paused" });
  }

  /** @throws {RpcError} FailedPrecondition: the container is not paused */
  resume(): void {
    this.#life.require("resume", ["paused"]);
    if (this.#isCheckpointed) throw this.#life.refusal("resume", "being checkpointed");
    this.#requireCgroup().thaw();
    this.#life.record({ kind: "resume" });
  }

  /**
   * Writes the processes and the writable layer to `directory`. The container is frozen meanwhile;
   * afterwards it is in its former state, or has exited if `options` say so.
   *
   * @throws {RpcError} FailedPrecondition; or crun's error with CRIU's, and the container is in its
   *   former state
   */
  async checkpoint(directory: string, options: CheckpointOptions): Promise<void> {
    this.#life.require("checkpoint", ["running", "paused"]);
    if (this.#isCheckpointed) throw this.#life.refusal("checkpoint", "being checkpointed");
    this.#isCheckpointed = true;
    const wasRunning = this.#isIn("running");
    try {
      if (wasRunning) await this.pause();
      const { id, bundle, crun, reaper } = this.#deps;
      await crun.checkpoint(id, { directory, flags: options.crunFlags }, options.exit);
      await packWritable(reaper, bundle, directory);
      noteFlags(directory, options);
    } finally {
      this.#isCheckpointed = false;
      if (wasRunning && this.#isIn("paused")) this.resume();
    }
  }

  /** Returns the kernel's statistics. @throws {RpcError} FailedPrecondition */
  metrics(): CgroupMetrics {
    if (this.#isIn("creating")) throw this.#life.refusal("measure");
    return this.#requireCgroup().metrics();
  }

  /**
   * Changes the limits.
   *
   * @throws {RpcError} FailedPrecondition, or crun's error
   */
  async update(resources: JsonObject): Promise<void> {
    this.#life.require("update", ["created", "running", "pausing", "paused"]);
    await this.#deps.crun.update(this.id, resources);
  }

  /** Returns all processes of the container. @throws {RpcError} FailedPrecondition */
  pids(): ContainerProcess[] {
    if (this.#isIn("creating")) throw this.#life.refusal("list the processes of");
    if (this.#cgroup === null) return [];
    const execs = this.execs.byPid();
    return this.#cgroup.processes().map((pid) => ({ pid, execId: execs.get(pid) ?? null }));
  }

  closeStdin(): void {
    this.#deps.stdio.closeInput();
  }

  resize(size: WindowSize): void {
    if (this.exit !== null) throw this.#life.refusal("resize");
    this.#deps.stdio.resize(size);
  }

  /**
   * Deletes a container that has stopped, or that was never started and is killed by this.
   *
   * @throws {RpcError} FailedPrecondition, or crun's error
   */
  async delete(): Promise<ExitStatus> {
    this.#life.request({ kind: "delete" }, "delete");
    try {
      await this.#deps.crun.delete(this.id);
    } catch (error) {
      this.#life.record({ kind: "delete failed" });
      throw error;
    }
    if (this.#init === null) this.#exited.resolve(this.exit ?? this.#exitWithoutInit(null));
    const exit = await this.exited;
    this.#deps.stdio[Symbol.dispose]();
    this.#cgroup?.[Symbol.dispose]();
    this.execs.dispose();
    return exit;
  }

  async #onExit(exit: ExitStatus): Promise<void> {
    // Without a pid namespace of its own, the init leaves its children behind, with its files open.
    this.#cgroup?.kill();
    await this.#starting;
    this.#deps.stdio.exited();
    this.#life.record({ kind: "exited", exit });
    await this.execs.end();
    this.#cgroup?.kill(); // processes that an exec has just started
    // A client may read the snapshot once it learns of the exit. The guest's kernel logs why a
    // flush fails, and the exit is reported all the same.
    await this.#flush().catch(() => {});
    this.#exited.resolve(exit);
    this.#reportExit(this, exit);
  }

  /** @throws {RpcError} DeadlineExceeded: the flush continues; SystemError: it failed */
  #flush(): Promise<void> {
    const why = `disk did not take what was written within ${FLUSH_TIMEOUT_MS / 1_000} s`;
    return withDeadline({
      timeoutMs: FLUSH_TIMEOUT_MS,
      onTimeout: () => new RpcError(Code.DeadlineExceeded, why),
    }, () => this.#deps.flush(this.bundle));
  }

  /** Returns the exit of a container whose init was to be restored and never was. */
  #exitWithoutInit(signal: number | null): ExitStatus {
    const at = this.#deps.system.clock("realtime");
    return { pid: 0 as Pid, code: signal === null ? 0 : SIGNALLED + signal, signal, at };
  }

  #reportExit(process: Process, exit: ExitStatus): void {
    this.#cgroup?.checkOom();
    this.#deps.observer.exited(this, process, exit);
  }

  #cgroupOf(init: Pid): ContainerCgroup | null {
    const { system, cgroups, observer } = this.#deps;
    const path = cgroups.of(init);
    if (path === null) return null;
    return new ContainerCgroup(system, cgroups, path, () => observer.oomKilled(this));
  }

  #requireCgroup(): ContainerCgroup {
    if (this.#cgroup !== null) return this.#cgroup;
    throw new RpcError(
      Code.FailedPrecondition,
      `cgroup of container ${quoted(this.id)} is unknown`,
    );
  }
}

/** The parts of a container. */
export interface ContainerDeps extends StdioDeps {
  readonly id: string;
  readonly bundle: string;
  readonly ids: StdioIds;
  readonly stdio: ProcessStdio;
  readonly birth: InitBirth;
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly cgroups: Cgroups;
  /** Flushes the writable layer to a snapshot's disk, if there is one (bundles.ts). */
  readonly flush: (bundle: string) => Promise<void>;
  readonly observer: ContainerObserver;
}

/** Receives what happens in containers. */
export interface ContainerObserver {
  /**
   * A process has exited: called once for each, never before the call that started it is answered,
   * and last for the init.
   */
  exited(container: Container, which: Process, exit: ExitStatus): void;
  /** The kernel OOM-killed a process; called before that process's exit. */
  oomKilled(container: Container): void;
}

/** A process in a container; `execId` is null unless an exec started it. */
export interface ContainerProcess {
  readonly pid: number;
  readonly execId: string | null;
}
