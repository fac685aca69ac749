import { quoted } from "../../base/mod.ts";
import { type ExitStatus } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { checkedExecId } from "../base/ids.ts";
import { type Reaper } from "../base/reaper.ts";
import { type Crun } from "../runtime/crun.ts";
import { type OciProcess } from "../runtime/oci_process.ts";
import { openStdio } from "../stdio/open_stdio.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";
import { type StdioDeps } from "../stdio/stdio_endpoint.ts";
import { Exec } from "./exec.ts";

/** The exec processes of one container, by exec id. */
export class Execs {
  readonly #deps: ExecsDeps;
  readonly #execs = new Map<string, Exec>();

  constructor(deps: ExecsDeps) {
    this.#deps = deps;
  }

  /**
   * Adds a process, to be started later. The host can dial its streams from now on.
   *
   * @throws {RpcError} AlreadyExists, InvalidArgument, FailedPrecondition
   */
  add(execId: string, process: OciProcess, ids: StdioIds): Exec {
    const { containerId, crun, admit } = this.#deps;
    checkedExecId(execId);
    // In an exit event, the container's own id stands for the init.
    if (this.#execs.has(execId) || execId === containerId) {
      throw new RpcError(Code.AlreadyExists, `${this.#name(execId)} already exists`);
    }
    admit("exec in");
    const exec = new Exec({
      ...this.#deps,
      execId,
      process,
      ids,
      stdio: openStdio(this.#deps, ids, () => crun.consolePath()),
      admit: () => admit("exec in"),
    });
    this.#execs.set(execId, exec);
    return exec;
  }

  /** @throws {RpcError} NotFound */
  get(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) throw new RpcError(Code.NotFound, `no ${this.#name(execId)}`);
    return exec;
  }

  /** @throws {RpcError} NotFound; FailedPrecondition: it is running */
  delete(execId: string): { process: Exec; exit: ExitStatus } {
    const process = this.get(execId);
    const exit = process.delete();
    this.#execs.delete(execId);
    return { process, exit };
  }

  /** Returns the exec ids of running processes, by pid. */
  byPid(): Map<number, string> {
    return new Map([...this.#execs.values()].map(({ pid, execId }) => [pid, execId]));
  }

  /** Resolves when no start is in progress. */
  async settled(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.settled()));
  }

  /** Kills all processes. Resolves when their exits have been reported. */
  async end(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.end()));
  }

  /** Ends all streams. */
  dispose(): void {
    for (const exec of this.#execs.values()) exec.dispose();
  }

  #name(execId: string): string {
    return `process ${quoted(execId)} in container ${quoted(this.#deps.containerId)}`;
  }
}

/** What exec processes need from their container. */
export interface ExecsDeps extends StdioDeps {
  readonly reaper: Reaper;
  readonly crun: Crun;
  readonly containerId: string;
  /** Throws if the container's state forbids `call`. */
  readonly admit: (call: string) => void;
  readonly onExit: (exec: Exec, exit: ExitStatus) => void;
}
