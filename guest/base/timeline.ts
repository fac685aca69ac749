import { type System } from "../../ffi/mod.ts";

/** When vminitd reached which point. The host joins it with its own half of the boot. */
export class Timeline {
  readonly #system: System;
  readonly #points: TimelinePoint[] = [];

  constructor(system: System) {
    this.#system = system;
  }

  /** Records that `name` is reached now, or was reached `ago` milliseconds before. */
  mark(name: string, ago: number = 0): void {
    const now = this.#system.clock("boottime") - BigInt(Math.round(ago * 1e6));
    this.#points.push({
      name,
      bootNanoseconds: now > 0n ? now : 0n,
      cpuNanoseconds: ago > 0 ? null : this.#system.clock("process-cpu"),
    });
  }

  get points(): readonly TimelinePoint[] {
    return this.#points;
  }

  /** Returns the points on one line, in milliseconds, with the CPU time in parentheses. */
  toString(): string {
    const points = this.#points.map(({ name, bootNanoseconds, cpuNanoseconds }) => {
      const cpu = cpuNanoseconds === null ? "" : ` (${milliseconds(cpuNanoseconds)})`;
      return `${name} ${milliseconds(bootNanoseconds)}${cpu}`;
    });
    return `${points.join(", ")} (ms since the kernel's start)`;
  }
}

/** A point of the guest's start, `bootNanoseconds` after the kernel's (CLOCK_BOOTTIME). */
export interface TimelinePoint {
  readonly name: string;
  readonly bootNanoseconds: bigint;
  /** CPU time of this process at that point; null for a point in the past. */
  readonly cpuNanoseconds: bigint | null;
}

function milliseconds(nanoseconds: bigint): string {
  return (Number(nanoseconds) / 1e6).toFixed(3);
}
