import { type ExitStatus } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Crun } from "../runtime/crun.ts";
import { Exec } from "./exec.ts";
import { checkedExecId, quoted } from "../base/ids.ts";
import { type OciProcess } from "../runtime/oci_process.ts";
import { openStdio } from "../stdio/open_stdio.ts";
import type { StdioIds } from "../stdio/process_stdio.ts";
import { type Reaper } from "../base/reaper.ts";
import { type StdioDependencies } from "../stdio/stdio_endpoint.ts";

/** What the added processes of a container need from it. */
export interface ExecsDependencies extends StdioDependencies {
  readonly reaper: Reaper;
  readonly crun: Crun;
  readonly containerId: string;
  /** Throws when the container is not in a state for `call`. */
  readonly admit: (call: string) => void;
  readonly onExit: (exec: Exec, exit: ExitStatus) => void;
}

/** The processes that were added to one container, by their exec id. */
export class Execs {
  readonly #dependencies: ExecsDependencies;
  readonly #execs = new Map<string, Exec>();

  constructor(dependencies: ExecsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Adds a process, to be started later. Its streams can be dialed from now on.
   *
   * @throws {RpcError} AlreadyExists, InvalidArgument, FailedPrecondition
   */
  add(execId: string, process: OciProcess, ids: StdioIds): Exec {
    const { containerId, crun, admit } = this.#dependencies;
    checkedExecId(execId);
    // In an exit event, the container's own id stands for the init.
    if (this.#execs.has(execId) || execId === containerId) {
      throw new RpcError(
        Code.AlreadyExists,
        `process ${quoted(execId)} in container ${quoted(containerId)} already exists`,
      );
    }
    admit("exec in");
    const exec = new Exec({
      ...this.#dependencies,
      execId,
      process,
      ids,
      stdio: openStdio(this.#dependencies, ids, () => crun.consolePath()),
      admit: () => admit("exec in"),
    });
    this.#execs.set(execId, exec);
    return exec;
  }

  /** @throws {RpcError} NotFound */
  get(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) {
      const { containerId } = this.#dependencies;
      throw new RpcError(
        Code.NotFound,
        `no process ${quoted(execId)} in container ${quoted(containerId)}`,
      );
    }
    return exec;
  }

  /** @throws {RpcError} NotFound, FailedPrecondition: it runs */
  delete(execId: string): { process: Exec; exit: ExitStatus } {
    const process = this.get(execId);
    const exit = process.delete();
    this.#execs.delete(execId);
    return { process, exit };
  }

  /** The exec ids by the pids of those that run. */
  byPid(): Map<number, string> {
    return new Map([...this.#execs.values()].map(({ pid, execId }) => [pid, execId]));
  }

  /** Resolves when none is being started. */
  async settled(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.settled()));
  }

  /** Kills all. Resolves when none is alive and their exits were told. */
  async end(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.end()));
  }

  /** Ends all of their streams. */
  dispose(): void {
    for (const exec of this.#execs.values()) exec.dispose();
  }
}
