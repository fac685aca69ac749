import { after } from "../../base/mod.ts";
import { isSystemError, type Pid, type System } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Cgroups } from "./cgroup.ts";
import { type CgroupMetrics } from "./cgroup_metrics.ts";

/** Limit for the processes of a container to freeze: one inside a system call may be late. */
const FREEZE_TIMEOUT_MS = 10_000;

/** The cgroup of one container, which crun makes and removes. */
export class ContainerCgroup implements Disposable {
  readonly #system: System;
  readonly #cgroups: Cgroups;
  readonly #path: string;
  readonly #oom: ReturnType<Cgroups["watchOom"]>;

  /** @param onOomKill called at each OOM kill in the cgroup */
  constructor(system: System, cgroups: Cgroups, path: string, onOomKill: () => void) {
    this.#system = system;
    this.#cgroups = cgroups;
    this.#path = path;
    this.#oom = cgroups.watchOom(path, onOomKill);
  }

  /** Returns all processes. */
  processes(): number[] {
    return this.#cgroups.processes(this.#path);
  }

  /** SIGKILLs all processes. */
  kill(): void {
    this.#cgroups.kill(this.#path);
  }

  /** Signals each process. They have to be frozen: the child of a fork would be missed. */
  signalFrozen(signal: number): void {
    for (const pid of this.processes()) {
      try {
        this.#system.kill(pid as Pid, signal);
      } catch (error) {
        if (!isSystemError(error, "ESRCH")) throw error;
      }
    }
  }

  /**
   * Freezes all processes. Resolves when they are frozen, or none is left.
   *
   * @throws {RpcError} DeadlineExceeded: they continue to run
   */
  async freeze(): Promise<void> {
    const late = new AbortController();
    using _timer = after(FREEZE_TIMEOUT_MS, () => {
      const why = `processes did not freeze within ${FREEZE_TIMEOUT_MS / 1_000} s`;
      late.abort(new RpcError(Code.DeadlineExceeded, why));
    });
    await this.#cgroups.freeze(this.#path, late.signal);
  }

  thaw(): void {
    this.#cgroups.thaw(this.#path);
  }

  /** Returns the kernel's statistics. @throws {Deno.errors.NotFound} crun has removed the cgroup */
  metrics(): CgroupMetrics {
    return this.#cgroups.metrics(this.#path);
  }

  /** Reports OOM kills now, if there were any. */
  checkOom(): void {
    this.#oom?.check();
  }

  /** Ends the watch. crun removes the cgroup. */
  [Symbol.dispose](): void {
    this.#oom?.[Symbol.dispose]();
  }
}
