import { quoted } from "../../base/mod.ts";
import { type ExitStatus, type Pid, SIG, type System, type WindowSize } from "../../ffi/mod.ts";
import type { taskTypes } from "../../proto/mod.ts";
import { type ReapedProcess, type Reaper } from "../base/reaper.ts";
import { type Crun } from "../runtime/crun.ts";
import { exitCodeOfFailure } from "../runtime/crun_error.ts";
import { type OciProcess } from "../runtime/oci_process.ts";
import { type ProcessStdio, type StdioIds } from "../stdio/process_stdio.ts";
import { EXEC_TRANSITIONS, type ExecEvent, type ExecState, statusOf } from "./exec_state.ts";
import { Lifecycle } from "./lifecycle.ts";
import { alreadyFinished, checkSignal, type Process } from "./process.ts";

/** An exec process, from Exec to Delete. */
export class Exec implements Process {
  readonly execId: string;
  readonly ids: StdioIds;
  readonly #deps: ExecDeps;
  readonly #life: Lifecycle<ExecState, ExecEvent>;
  readonly #exited = Promise.withResolvers<ExitStatus>();
  #process: ReapedProcess | null = null;
  #starting: Promise<unknown> = Promise.resolve();
  #size: WindowSize | null = null;

  constructor(deps: ExecDeps) {
    this.execId = deps.execId;
    this.ids = deps.ids;
    this.#deps = deps;
    const name = `process ${quoted(deps.execId)}`;
    this.#life = new Lifecycle(EXEC_TRANSITIONS, name, { kind: "added" });
  }

  get pid(): Pid | 0 {
    const { state } = this.#life;
    return "pid" in state ? state.pid : 0;
  }

  get status(): taskTypes.Status {
    return statusOf(this.#life.state);
  }

  get exit(): ExitStatus | null {
    const { state } = this.#life;
    return "exit" in state ? state.exit : null;
  }

  /**
   * Resolves with the exit; for a process that was never started by delete, and for one whose start
   * fails with that failure's exit code.
   */
  get exited(): Promise<ExitStatus> {
    return this.#exited.promise;
  }

  async start(): Promise<Pid> {
    this.#deps.admit();
    this.#life.request({ kind: "start" }, "start");
    const started = this.#start();
    this.#starting = started.catch(() => {});
    return await started;
  }

  // deno-lint-ignore require-await -- like an init's, which may call crun
  async kill(signal: number): Promise<void> {
    checkSignal(signal);
    const { kind } = this.#life.state;
    if (kind === "added" || kind === "starting") throw this.#life.refusal("kill");
    if (this.#process === null || !this.#deps.reaper.kill(this.#process, signal)) {
      throw alreadyFinished();
    }
  }

  closeStdin(): void {
    this.#deps.stdio.closeInput();
  }

  resize(size: WindowSize): void {
    if (this.exit !== null) throw this.#life.refusal("resize");
    this.#size = size;
    this.#deps.stdio.resize(size);
  }

  /**
   * Deletes the process and returns its exit.
   *
   * @throws {RpcError} FailedPrecondition: it is running
   */
  delete(): ExitStatus {
    this.#life.request({ kind: "delete", exit: this.#exitWithoutProcess(0) }, "delete");
    const exit = this.exit as ExitStatus;
    this.#exited.resolve(exit);
    this.dispose();
    return exit;
  }

  /** Resolves when no start is in progress. */
  async settled(): Promise<void> {
    await this.#starting;
  }

  /** Kills the process, even while it is starting. Resolves when its exit has been reported. */
  async end(): Promise<void> {
    await this.#starting;
    if (this.#process === null) return;
    this.#deps.reaper.kill(this.#process, SIG.KILL);
    await this.#exited.promise;
  }

  /** Ends the streams. Output that was not delivered is lost. */
  dispose(): void {
    this.#deps.stdio[Symbol.dispose]();
  }

  async #start(): Promise<Pid> {
    const { crun, reaper, stdio, containerId, process } = this.#deps;
    using nursery = reaper.openNursery();
    let started: ReapedProcess | null = null;
    try {
      const pid = await crun.exec(containerId, this.#sized(process), stdio);
      started = nursery.claim(pid as Pid);
      stdio.created();
    } catch (error) {
      if (started !== null) reaper.kill(started, SIG.KILL); // its terminal is missing
      const exit = this.#exitWithoutProcess(exitCodeOfFailure(error));
      this.#life.record({ kind: "start failed", exit });
      stdio.closeChildEnds();
      stdio.exited();
      this.#exited.resolve(exit);
      throw error;
    }
    this.#process = started;
    this.#life.record({ kind: "started", pid: started.pid });
    started.exited.then((exit) => this.#onExit(exit));
    return started.pid;
  }

  async #onExit(exit: ExitStatus): Promise<void> {
    await this.#starting;
    this.#deps.stdio.exited();
    this.#life.record({ kind: "exited", exit });
    this.#deps.onExit(this, exit);
    this.#exited.resolve(exit);
  }

  /** Adds the window size that was set before the start, so that the terminal never has another. */
  #sized(process: OciProcess): OciProcess {
    if (this.#size === null) return process;
    const { rows, columns } = this.#size;
    return { ...process, consoleSize: { height: rows, width: columns } };
  }

  #exitWithoutProcess(code: number): ExitStatus {
    return { pid: 0 as Pid, code, signal: null, at: this.#deps.system.clock("realtime") };
  }
}

/** The parts of an exec process. */
export interface ExecDeps {
  readonly system: System;
  readonly reaper: Reaper;
  readonly crun: Crun;
  readonly containerId: string;
  readonly execId: string;
  readonly process: OciProcess;
  readonly ids: StdioIds;
  readonly stdio: ProcessStdio;
  /** Throws if a start is forbidden now: the container may have exited since Exec. */
  readonly admit: () => void;
  /** Receives the exit, once, never before the call that started the process is answered. */
  readonly onExit: (exec: Exec, exit: ExitStatus) => void;
}
