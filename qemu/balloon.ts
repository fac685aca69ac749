import { messageOf, MIB } from "../base/mod.ts";

/**
 * Holds back memory of a VM that its guest may not use yet. The virtio balloon (virtio 1.2, 5.5) is
 * inflated in the guest, and those pages return to the host. Inflating takes the guest some time;
 * the last size asked for is the one it ends up with.
 */
export class Balloon {
  readonly #monitor: BalloonMonitor;
  readonly #most: number;
  readonly #log: (line: string) => void;
  #least: number;
  #wanted = 0;
  #isHolding = false;
  /** The last size sent to QEMU, in MiB. */
  #sent: number;
  #isSending = false;

  constructor(
    monitor: BalloonMonitor,
    { least, most }: BalloonBounds,
    log: (line: string) => void,
  ) {
    this.#monitor = monitor;
    this.#most = this.#sent = most;
    this.#least = least;
    this.#log = log;
  }

  /** Begins to hold memory back; until then, the guest may use all of it. */
  hold(): void {
    this.#isHolding = true;
    this.#update();
  }

  /** Memory that the guest may always use, in MiB. */
  get least(): number {
    return this.#least;
  }

  set least(mib: number) {
    this.#least = mib;
    this.#update();
  }

  /** Memory that the guest asks for, in MiB. It gets that, within `least` and `most`. */
  want(mib: number): void {
    this.#wanted = mib;
    this.#update();
  }

  /** Memory that the guest may use now, in MiB. */
  get size(): number {
    return Math.min(this.#most, Math.max(this.#least, this.#wanted));
  }

  /** Sends one command at a time. Of the sizes asked for meanwhile, only the last one is sent. */
  #update(): void {
    if (!this.#isHolding || this.#isSending || this.size === this.#sent) return;
    this.#isSending = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    while (this.size !== this.#sent) {
      const mib = this.#sent = this.size;
      try {
        await this.#monitor.execute("balloon", { value: mib * MIB });
      } catch (error) {
        this.#log(`guest memory not set to ${mib} MiB: ${messageOf(error)}`);
      }
    }
    this.#isSending = false;
  }
}

/** Bounds of the memory that a guest may use, in MiB. */
export interface BalloonBounds {
  /** What it may use at first, and always. */
  readonly least: number;
  /** All memory of the VM. */
  readonly most: number;
}

/** The part of QEMU's monitor that a Balloon uses. */
export interface BalloonMonitor {
  execute(command: string, args: Record<string, unknown>): Promise<unknown>;
}
