import { type System } from "../ffi/mod.ts";

/** A point of the guest's start, `bootNanoseconds` after the kernel began (CLOCK_BOOTTIME). */
export interface TimelinePoint {
  readonly name: string;
  readonly bootNanoseconds: bigint;
}

/** What vminitd reached when. The host joins it to its own half of the boot. */
export class Timeline {
  readonly #clock: () => bigint;
  readonly #points: TimelinePoint[] = [];

  constructor(system: System) {
    this.#clock = () => system.clock("boottime");
  }

  /** Notes that `name` is reached, or was `ago` milliseconds before now. */
  mark(name: string, ago: number = 0): void {
    const now = this.#clock() - BigInt(Math.round(ago * 1e6));
    this.#points.push({ name, bootNanoseconds: now > 0n ? now : 0n });
  }

  get points(): readonly TimelinePoint[] {
    return this.#points;
  }

  /** The points on one line, in milliseconds. */
  toString(): string {
    return this.#points.map(({ name, bootNanoseconds }) =>
      `${name} ${bootNanoseconds / 1_000_000n}`
    )
      .join(", ") + " (ms since the kernel's start)";
  }
}
