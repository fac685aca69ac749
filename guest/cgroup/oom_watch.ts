import { isSystemError, type Poller, type System } from "../../ffi/mod.ts";
import { KernelFile } from "../base/kernel_file.ts";

/** Watches a cgroup for OOM kills. */
export class OomWatch implements Disposable {
  readonly #file: KernelFile;
  readonly #onKill: () => void;
  #kills = 0n;
  #disposed = false;

  /**
   * Calls `onKill` each time that it finds new kills, until disposed.
   *
   * @throws {SystemError} ENOENT: the cgroup has no memory controller
   */
  constructor(system: System, poller: Poller, cgroup: string, onKill: () => void) {
    this.#file = new KernelFile(system, poller, `${cgroup}/memory.events`);
    this.#onKill = onKill;
    void this.#watch();
  }

  /**
   * Looks for new kills now. The kernel counts a kill before it sends the signal, so once a killed
   * process is reaped, this finds the kill.
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

  /** Returns the number of kills, or null if the cgroup is gone. */
  #read(): bigint | null {
    try {
      return this.#file.read().get("oom_kill") ?? 0n;
    } catch (error) {
      if (isSystemError(error, "ENODEV")) return null;
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
