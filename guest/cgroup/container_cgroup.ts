import { type Pid, type System, SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Cgroups } from "./cgroup.ts";
import { type CgroupMetrics } from "./cgroup_metrics.ts";

/** How long the processes of a container may take to stand still: one in the kernel may be late. */
const FREEZE_TIMEOUT_MS = 10_000;

/** The cgroup of one container, which crun makes and removes. */
export class ContainerCgroup implements Disposable {
  readonly #system: System;
  readonly #cgroups: Cgroups;
  readonly #path: string;
  readonly #oom: ReturnType<Cgroups["watchOom"]>;

  /** Calls `onOomKill` for each time that the kernel kills in it for want of memory. */
  constructor(system: System, cgroups: Cgroups, path: string, onOomKill: () => void) {
    this.#system = system;
    this.#cgroups = cgroups;
    this.#path = path;
    this.#oom = cgroups.watchOom(path, onOomKill);
  }

  /** The processes in it. */
  processes(): number[] {
    return this.#cgroups.processes(this.#path);
  }

  /** SIGKILLs all of them. */
  kill(): void {
    this.#cgroups.kill(this.#path);
  }

  /** Signals each of them. They have to be frozen: one that forks could escape. */
  signalFrozen(signal: number): void {
    for (const pid of this.processes()) {
      try {
        this.#system.kill(pid as Pid, signal);
      } catch (error) {
        if (!(error instanceof SystemError) || error.code !== "ESRCH") throw error;
      }
    }
  }

  /**
   * Resolves when all of them stand still, or none is left.
   *
   * @throws {RpcError} DeadlineExceeded: they run on
   */
  async freeze(): Promise<void> {
    const late = new AbortController();
    const deadline = setTimeout(() => {
      const why = `the processes did not stand still within ${FREEZE_TIMEOUT_MS / 1_000} s`;
      late.abort(new RpcError(Code.DeadlineExceeded, why));
    }, FREEZE_TIMEOUT_MS);
    try {
      await this.#cgroups.freeze(this.#path, late.signal);
    } finally {
      clearTimeout(deadline);
    }
  }

  thaw(): void {
    this.#cgroups.thaw(this.#path);
  }

  /** What the kernel counts. @throws {Deno.errors.NotFound} crun has removed it */
  metrics(): CgroupMetrics {
    return this.#cgroups.metrics(this.#path);
  }

  /** Tells now of what was killed for want of memory, if anything was. */
  checkOom(): void {
    this.#oom?.check();
  }

  /** Ends the watch. The cgroup is crun's to remove. */
  [Symbol.dispose](): void {
    this.#oom?.[Symbol.dispose]();
  }
}
