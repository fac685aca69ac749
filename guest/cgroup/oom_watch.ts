import { type Poller, type System, SystemError } from "../../ffi/mod.ts";
import { KernelFile } from "../base/kernel_file.ts";

/** Tells when the kernel kills a process of a cgroup because its memory is used up. */
export class OomWatch implements Disposable {
  readonly #file: KernelFile;
  readonly #onKill: () => void;
  #kills = 0n;
  #disposed = false;

  /**
   * Calls `onKill` for each time that kills are noticed, until it is disposed.
   *
   * @throws {SystemError} ENOENT: the cgroup has no memory controller
   */
  constructor(system: System, poller: Poller, cgroup: string, onKill: () => void) {
    this.#file = new KernelFile(system, poller, `${cgroup}/memory.events`);
    this.#onKill = onKill;
    void this.#watch();
  }

  /**
   * Looks at once. The kernel counts a kill before it sends the signal: when a killed process has been
   * reaped, this has it.
   */
  check(): void {
    if (this.#disposed) return;
    const kills = this.#read();
    if (kills === null || kills <= this.#kills) return;
    this.#kills = kills;
    this.#onKill();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#file[Symbol.dispose]();
  }

  /** Null when the cgroup is gone. */
  #read(): bigint | null {
    try {
      return this.#file.read().get("oom_kill") ?? 0n;
    } catch (error) {
      if (error instanceof SystemError && error.code === "ENODEV") return null;
      throw error;
    }
  }

  async #watch(): Promise<void> {
    try {
      while (!this.#disposed && this.#read() !== null) {
        this.check();
        await this.#file.changed();
      }
    } catch (error) {
      if (!this.#disposed) throw error;
    }
  }
}
