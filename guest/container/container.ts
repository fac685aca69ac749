import { type ExitStatus, type Pid, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../../proto/mod.ts";
import { type Cgroups } from "../cgroup/cgroup.ts";
import { type CgroupMetrics } from "../cgroup/cgroup_metrics.ts";
import { ContainerCgroup } from "../cgroup/container_cgroup.ts";
import {
  type ContainerEvent,
  type ContainerState,
  statusOf,
  transition,
} from "./container_state.ts";
import { type CheckpointOptions, noteFlags } from "../runtime/checkpoint_options.ts";
import { type Crun } from "../runtime/crun.ts";
import { Execs } from "./execs.ts";
import { quoted } from "../base/ids.ts";
import { type InitBirth } from "./init_birth.ts";
import { type JsonObject } from "../runtime/oci_json.ts";
import { alreadyFinished, checkSignal, type Process } from "./process.ts";
import { type ProcessStdio, type StdioIds } from "../stdio/process_stdio.ts";
import { type Nursery, type ReapedProcess, type Reaper } from "../base/reaper.ts";
import { type StdioDependencies } from "../stdio/stdio_endpoint.ts";
import { packWritable } from "../runtime/writable_layer.ts";

/** Added to a signal's number it is the exit code of what it killed. */
const SIGNALLED = 128;
/** How long a disk may take for all that is in the guest's memory. The host waits for a pause 60 s. */
const FLUSH_TIMEOUT_MS = 45_000;

/** What a container is made of. */
export interface ContainerParts extends StdioDependencies {
  readonly id: string;
  readonly bundle: string;
  readonly ids: StdioIds;
  readonly stdio: ProcessStdio;
  readonly birth: InitBirth;
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly cgroups: Cgroups;
  /** Resolves when what was written is on the disk of a snapshot, if there is one (bundles.ts). */
  readonly flush: (bundle: string) => Promise<void>;
  readonly observer: ContainerObserver;
}

/** Hears of what happens in containers. */
export interface ContainerObserver {
  /**
   * One of the processes has ended: once for each, never before the call that started it is answered.
   * The init's is the last.
   */
  exited(container: Container, ended: Process, exit: ExitStatus): void;
  /** The kernel killed for want of memory; before the exit of what was killed. */
  oomKilled(container: Container): void;
}

/** A process in a container; `execId` is null when no exec started it. */
export interface ContainerProcess {
  readonly pid: number;
  readonly execId: string | null;
}

/** One container: its init process, the processes added to it, and where it is in its life. */
export class Container implements Process {
  readonly id: string;
  readonly execId = "";
  readonly bundle: string;
  readonly ids: StdioIds;
  /** The processes that were added to the init. */
  readonly execs: Execs;
  readonly #parts: ContainerParts;
  readonly #exited = Promise.withResolvers<ExitStatus>();
  #state: ContainerState = { name: "creating" };
  #init: ReapedProcess | null = null;
  #cgroup: ContainerCgroup | null = null;
  #starting: Promise<unknown> = Promise.resolve();
  #isCheckpointed = false;

  constructor(parts: ContainerParts) {
    this.id = parts.id;
    this.bundle = parts.bundle;
    this.ids = parts.ids;
    this.#parts = parts;
    this.execs = new Execs({
      ...parts,
      containerId: parts.id,
      admit: (call) => this.#require(call, ["created", "running"]),
      onExit: (exec, exit) => this.#tellExit(exec, exit),
    });
    this.#exited.promise.catch(() => {}); // it may be that nobody waits
  }

  get state(): ContainerState {
    return this.#state;
  }

  get status(): taskTypes.Status {
    return statusOf(this.#state);
  }

  get exit(): ExitStatus | null {
    return "exit" in this.#state ? this.#state.exit : null;
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
  async create(): Promise<void> {
    const { id, bundle, stdio, crun, reaper, birth } = this.#parts;
    using nursery = reaper.openNursery();
    let init: ReapedProcess | null;
    try {
      init = this.#adopt(nursery, await birth.create(id, bundle, stdio));
    } catch (error) {
      stdio[Symbol.dispose]();
      this.#cgroup?.[Symbol.dispose]();
      // crun undoes a failed create itself; what is left if it died on the way goes with this.
      await crun.delete(id).catch(() => {});
      const failure = new RpcError(Code.NotFound, `container ${quoted(id)} was not created`);
      this.#exited.reject(failure);
      throw error;
    }
    init?.exited.then((exit) => this.#onExit(exit));
    this.#expect({ name: "created", pid: init?.pid ?? 0 }, "create");
  }

  /** @throws {RpcError} FailedPrecondition, what crun says */
  async start(): Promise<Pid> {
    this.#expect({ name: "start" }, "start");
    const starting = this.#start();
    this.#starting = starting.catch(() => {});
    try {
      const { pid } = await starting;
      this.#apply({ name: "started", pid });
      return pid;
    } catch (error) {
      this.#apply({ name: "start failed" });
      throw error;
    }
  }

  async #start(): Promise<ReapedProcess> {
    const { id, bundle, stdio, reaper, birth } = this.#parts;
    using nursery = reaper.openNursery();
    const restored = this.#adopt(nursery, await birth.start(id, bundle, stdio));
    restored?.exited.then((exit) => this.#onExit(exit));
    return this.#init!;
  }

  /** Takes the init over from crun, when there is one by now. */
  #adopt(nursery: Nursery, pid: number | null): ReapedProcess | null {
    if (pid === null) return null;
    this.#init = nursery.claim(pid as Pid);
    this.#cgroup = this.#cgroupOf(pid as Pid);
    this.#parts.stdio.created();
    return this.#init;
  }

  async kill(signal: number, all: boolean): Promise<void> {
    if (this.#state.name === "creating") throw this.#refusal("kill");
    if (this.#state.name === "stopped" || this.#state.name === "deleting") throw alreadyFinished();
    checkSignal(signal);
    if (this.#init === null) {
      if (this.#state.name !== "created") throw this.#refusal("kill");
      return await this.#onExit(this.#endOfNone(signal));
    }
    // `crun kill --all` would thaw it.
    if (all && this.#state.name === "paused") return this.#requireCgroup().signalFrozen(signal);
    if (all) return await this.#parts.crun.killAll(this.id, signal);
    // What `crun kill` does, without the process: nobody else can free the init's pid.
    if (!this.#parts.reaper.kill(this.#init, signal)) throw alreadyFinished();
  }

  /**
   * Freezes all of its processes, and flushes the disk of its snapshot: who looks at it while the
   * container is paused finds all that it has written.
   *
   * @throws {RpcError} FailedPrecondition; DeadlineExceeded: then it runs on; NotFound: it has ended
   */
  async pause(): Promise<void> {
    this.#expect({ name: "pause" }, "pause");
    try {
      // What is just entering the cgroup would be caught half-way, and crun with it.
      await this.execs.settled();
      await this.#requireCgroup().freeze();
      await this.#flush();
    } catch (error) {
      if (this.#state.name === "pausing") {
        this.#cgroup?.thaw();
        this.#apply({ name: "pause failed" });
      }
      throw error;
    }
    if (this.#state.name !== "pausing") throw alreadyFinished();
    this.#apply({ name: "paused" });
  }

  /** @throws {RpcError} FailedPrecondition: it is not paused */
  resume(): void {
    this.#require("resume", ["paused"]);
    if (this.#isCheckpointed) throw this.#refusal("resume", "being checkpointed");
    this.#requireCgroup().thaw();
    this.#apply({ name: "resume" });
  }

  /**
   * Writes its processes, and what it changed in its root file system, into `folder`. It stands still
   * meanwhile, and afterwards is what it was before, or has ended, if that was asked for.
   *
   * @throws {RpcError} FailedPrecondition; what crun and CRIU say: it is what it was before
   */
  async checkpoint(folder: string, options: CheckpointOptions): Promise<void> {
    this.#require("checkpoint", ["running", "paused"]);
    if (this.#isCheckpointed) throw this.#refusal("checkpoint", "being checkpointed");
    this.#isCheckpointed = true;
    const wasRunning = this.#state.name === "running";
    try {
      if (wasRunning) await this.pause();
      const { id, bundle, crun, reaper } = this.#parts;
      await crun.checkpoint(id, { folder, flags: options.crunFlags }, options.exit);
      await packWritable(reaper, bundle, folder);
      noteFlags(folder, options);
    } finally {
      this.#isCheckpointed = false;
      if (wasRunning && this.#state.name === "paused") this.resume();
    }
  }

  /** What the kernel counts for it. @throws {RpcError} FailedPrecondition */
  metrics(): CgroupMetrics {
    if (this.#state.name === "creating") throw this.#refusal("measure");
    return this.#requireCgroup().metrics();
  }

  /**
   * Changes its limits.
   *
   * @throws {RpcError} FailedPrecondition, what crun says
   */
  async update(resources: JsonObject): Promise<void> {
    this.#require("update", ["created", "running", "pausing", "paused"]);
    await this.#parts.crun.update(this.id, resources);
  }

  /** All of the container's processes. */
  pids(): ContainerProcess[] {
    if (this.#state.name === "creating") throw this.#refusal("pids");
    if (this.#cgroup === null) return [];
    const execs = this.execs.byPid();
    return this.#cgroup.processes()
      .map((pid) => ({ pid, execId: execs.get(pid) ?? null }));
  }

  closeStdin(): void {
    this.#parts.stdio.closeInput();
  }

  resize(size: WindowSize): void {
    if (this.exit !== null) throw this.#refusal("resize");
    this.#parts.stdio.resize(size);
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
    if (this.#init === null) this.#exited.resolve(this.exit ?? this.#endOfNone(null));
    const exit = await this.exited;
    this.#parts.stdio[Symbol.dispose]();
    this.#cgroup?.[Symbol.dispose]();
    this.execs.dispose();
    return exit;
  }

  async #onExit(exit: ExitStatus): Promise<void> {
    // With no pid namespace of its own, what it started is still there and holds its files.
    this.#cgroup?.kill();
    await this.#starting;
    this.#parts.stdio.exited();
    this.#apply({ name: "exited", exit });
    await this.execs.end();
    this.#cgroup?.kill(); // what an exec just started
    // Whoever hears of the end may read the snapshot. What it cannot be flushed for is in the log
    // of the guest's kernel, and the end is the end all the same.
    await this.#flush().catch(() => {});
    this.#exited.resolve(exit);
    this.#tellExit(this, exit);
  }

  /** @throws {RpcError} DeadlineExceeded: it goes on; SystemError */
  async #flush(): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const why = `the disk did not take what was written within ${FLUSH_TIMEOUT_MS / 1_000} s`;
      late.reject(new RpcError(Code.DeadlineExceeded, why));
    }, FLUSH_TIMEOUT_MS);
    try {
      await Promise.race([this.#parts.flush(this.bundle), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** How a container ends that was to come out of a checkpoint, and did not. */
  #endOfNone(signal: number | null): ExitStatus {
    const at = this.#parts.system.clock("realtime");
    return { pid: 0 as Pid, code: signal === null ? 0 : SIGNALLED + signal, signal, at };
  }

  #tellExit(ended: Process, exit: ExitStatus): void {
    this.#cgroup?.checkOom();
    this.#parts.observer.exited(this, ended, exit);
  }

  #cgroupOf(init: Pid): ContainerCgroup | null {
    const { system, cgroups, observer } = this.#parts;
    const path = cgroups.of(init);
    return path === null
      ? null
      : new ContainerCgroup(system, cgroups, path, () => observer.oomKilled(this));
  }

  #requireCgroup(): ContainerCgroup {
    if (this.#cgroup !== null) return this.#cgroup;
    throw new RpcError(
      Code.FailedPrecondition,
      `the cgroup of container ${quoted(this.id)} is not known`,
    );
  }

  /** Refuses `call` in all other states. */
  #require(call: string, states: readonly ContainerState["name"][]): void {
    if (!states.includes(this.#state.name)) throw this.#refusal(call);
  }

  /** Does what a caller asked for, or refuses it. */
  #expect(event: ContainerEvent, call: string): void {
    const next = transition(this.#state, event);
    if (next === null) throw this.#refusal(call);
    this.#state = next;
  }

  /** Notes what has happened. */
  #apply(event: ContainerEvent): void {
    const next = transition(this.#state, event);
    if (next === null) {
      throw new Error(`container ${this.id}: ${event.name} while ${this.#state.name}`);
    }
    this.#state = next;
  }

  #refusal(call: string, state: string = this.#state.name): RpcError {
    return new RpcError(
      Code.FailedPrecondition,
      `cannot ${call} container ${quoted(this.id)}: it is ${state}`,
    );
  }
}
