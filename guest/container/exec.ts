import { type ExitStatus, type Pid, SIG, type System, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../../proto/mod.ts";
import { type Crun } from "../runtime/crun.ts";
import { exitCodeOfFailure } from "../runtime/crun_error.ts";
import { type ExecEvent, type ExecState, statusOf, transition } from "./exec_state.ts";
import { quoted } from "../base/ids.ts";
import { type OciProcess } from "../runtime/oci_process.ts";
import { alreadyFinished, checkSignal, type Process } from "./process.ts";
import { type ProcessStdio, type StdioIds } from "../stdio/process_stdio.ts";
import { type ReapedProcess, type Reaper } from "../base/reaper.ts";

/** What a process that is added to a container is made of. */
export interface ExecParts {
  readonly system: System;
  readonly reaper: Reaper;
  readonly crun: Crun;
  readonly containerId: string;
  readonly execId: string;
  readonly process: OciProcess;
  readonly ids: StdioIds;
  readonly stdio: ProcessStdio;
  /** Throws what forbids a start now: the container may have ended since the process was added. */
  readonly admit: () => void;
  /** Hears of its exit, once, never before the call that started it is answered. */
  readonly onExit: (exec: Exec, exit: ExitStatus) => void;
}

/** A process that was added to a container, from Exec to Delete. */
export class Exec implements Process {
  readonly execId: string;
  readonly ids: StdioIds;
  readonly #parts: ExecParts;
  readonly #exited = Promise.withResolvers<ExitStatus>();
  #state: ExecState = { name: "added" };
  #process: ReapedProcess | null = null;
  #starting: Promise<unknown> = Promise.resolve();
  #size: WindowSize | null = null;

  constructor(parts: ExecParts) {
    this.execId = parts.execId;
    this.ids = parts.ids;
    this.#parts = parts;
  }

  get pid(): Pid | 0 {
    return "pid" in this.#state ? this.#state.pid : 0;
  }

  get status(): taskTypes.Status {
    return statusOf(this.#state);
  }

  get exit(): ExitStatus | null {
    return "exit" in this.#state ? this.#state.exit : null;
  }

  /** A process that was never started ends with its delete, one that cannot be started with that. */
  get exited(): Promise<ExitStatus> {
    return this.#exited.promise;
  }

  async start(): Promise<Pid> {
    this.#parts.admit();
    this.#expect({ name: "start" }, "start");
    const started = this.#start();
    this.#starting = started.catch(() => {});
    return await started;
  }

  // deno-lint-ignore require-await -- as an init's, which may have to ask crun
  async kill(signal: number): Promise<void> {
    checkSignal(signal);
    if (this.#state.name === "added" || this.#state.name === "starting") {
      throw this.#refusal("kill");
    }
    if (this.#process === null || !this.#parts.reaper.kill(this.#process, signal)) {
      throw alreadyFinished();
    }
  }

  closeStdin(): void {
    this.#parts.stdio.closeInput();
  }

  resize(size: WindowSize): void {
    if (this.exit !== null) throw this.#refusal("resize");
    this.#size = size;
    this.#parts.stdio.resize(size);
  }

  /**
   * Forgets it.
   *
   * @throws {RpcError} FailedPrecondition: it runs
   */
  delete(): ExitStatus {
    this.#expect({ name: "delete", exit: this.#neverRan(0) }, "delete");
    const exit = this.exit as ExitStatus;
    this.#exited.resolve(exit);
    this.dispose();
    return exit;
  }

  /** Resolves when it is not being started. */
  async settled(): Promise<void> {
    await this.#starting;
  }

  /** Kills it, also while it is being started. Resolves when it is not alive and its exit was told. */
  async end(): Promise<void> {
    await this.#starting;
    if (this.#process === null) return;
    this.#parts.reaper.kill(this.#process, SIG.KILL);
    await this.#exited.promise;
  }

  /** Ends its streams. What is not delivered yet is lost. */
  dispose(): void {
    this.#parts.stdio[Symbol.dispose]();
  }

  async #start(): Promise<Pid> {
    const { crun, reaper, stdio, containerId, process } = this.#parts;
    using nursery = reaper.openNursery();
    let started: ReapedProcess | null = null;
    try {
      const pid = await crun.exec(containerId, this.#sized(process), stdio);
      started = nursery.claim(pid as Pid);
      stdio.created();
    } catch (error) {
      if (started !== null) reaper.kill(started, SIG.KILL); // without the terminal it was to have
      const exit = this.#neverRan(exitCodeOfFailure(error));
      this.#apply({ name: "start failed", exit });
      stdio.closeChildEnds();
      stdio.exited();
      this.#exited.resolve(exit);
      throw error;
    }
    this.#process = started;
    this.#apply({ name: "started", pid: started.pid });
    started.exited.then((exit) => this.#onExit(exit));
    return started.pid;
  }

  async #onExit(exit: ExitStatus): Promise<void> {
    await this.#starting;
    this.#parts.stdio.exited();
    this.#apply({ name: "exited", exit });
    this.#parts.onExit(this, exit);
    this.#exited.resolve(exit);
  }

  /** With the window size that was asked for before the start, so that it never has another one. */
  #sized(process: OciProcess): OciProcess {
    if (this.#size === null) return process;
    const { rows, columns } = this.#size;
    return { ...process, consoleSize: { height: rows, width: columns } };
  }

  #neverRan(code: number): ExitStatus {
    return { pid: 0 as Pid, code, signal: null, at: this.#parts.system.clock("realtime") };
  }

  /** Does what a caller asked for, or refuses it. */
  #expect(event: ExecEvent, call: string): void {
    const next = transition(this.#state, event);
    if (next === null) throw this.#refusal(call);
    this.#state = next;
  }

  /** Notes what has happened. */
  #apply(event: ExecEvent): void {
    const next = transition(this.#state, event);
    if (next === null) {
      throw new Error(`process ${this.execId}: ${event.name} while ${this.#state.name}`);
    }
    this.#state = next;
  }

  #refusal(call: string): RpcError {
    return new RpcError(
      Code.FailedPrecondition,
      `cannot ${call} process ${quoted(this.execId)}: it is ${this.#state.name}`,
    );
  }
}
