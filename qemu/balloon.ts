import { messageOf, MIB } from "../base/mod.ts";

/** What of a machine's memory its guest may use, in MiB. */
export interface BalloonBounds {
  /** At first. */
  readonly least: number;
  /** All that the machine has. */
  readonly most: number;
}

/** What it needs of QEMU's monitor. */
export interface BalloonMonitor {
  execute(command: string, args: Record<string, unknown>): Promise<unknown>;
}

/**
 * Holds back what a machine has of memory and its guest shall not use yet: a virtio balloon
 * (virtio 1.2, 5.5) is inflated in the guest, and the host has those pages again. The guest takes its
 * time; what is wanted last is what it gets in the end.
 */
export class Balloon {
  readonly #monitor: BalloonMonitor;
  readonly #most: number;
  readonly #log: (line: string) => void;
  #least: number;
  #wanted = 0;
  #isHolding = false;
  /** What QEMU was told last. */
  #told: number;
  #isTelling = false;

  constructor(
    monitor: BalloonMonitor,
    { least, most }: BalloonBounds,
    log: (line: string) => void,
  ) {
    this.#monitor = monitor;
    this.#most = this.#told = most;
    this.#least = least;
    this.#log = log;
  }

  /** From now on it holds back; before that, the guest may use all. */
  hold(): void {
    this.#isHolding = true;
    this.#tell();
  }

  /** What the guest may use in any case. */
  get least(): number {
    return this.#least;
  }

  set least(mib: number) {
    this.#least = mib;
    this.#tell();
  }

  /** What the guest asks for. It gets no less than the least and no more than there is. */
  want(mib: number): void {
    this.#wanted = mib;
    this.#tell();
  }

  /** What the guest may use. */
  get size(): number {
    return Math.min(this.#most, Math.max(this.#least, this.#wanted));
  }

  /** One command at a time: however often the guest changes its mind, only the last one counts. */
  #tell(): void {
    if (!this.#isHolding || this.#isTelling || this.size === this.#told) return;
    this.#isTelling = true;
    void this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    while (this.size !== this.#told) {
      const mib = this.#told = this.size;
      try {
        await this.#monitor.execute("balloon", { value: mib * MIB });
      } catch (error) {
        this.#log(`guest memory not set to ${mib} MiB: ${messageOf(error)}`);
      }
    }
    this.#isTelling = false;
  }
}
