import type { Elastic } from "./pressure.ts";

const KIB_PER_MIB = 1024;
/** The memory grows by half, and by this at least. */
const STEP_MIB = 128;
/** A quarter remains free after a shrink. */
const USED_PART = 0.75;

/**
 * Asks the host for more memory at each pressure, and for less if more than a quarter is available.
 * Never goes below the size at first.
 */
export class MemoryLoad implements Elastic {
  readonly pressure = "/proc/pressure/memory";
  readonly #bounds: MemoryBounds;
  readonly #ask: (mib: number) => void;
  readonly #meminfo: string;
  #mib: number;

  /** @param ask asks the host for this much memory in total, in MiB */
  constructor(bounds: MemoryBounds, ask: (mib: number) => void, meminfo = "/proc/meminfo") {
    this.#bounds = bounds;
    this.#ask = ask;
    this.#meminfo = meminfo;
    this.#mib = bounds.leastMib;
  }

  get isLeast(): boolean {
    return this.#mib <= this.#bounds.leastMib;
  }

  grow(): void {
    this.#want(this.#mib + Math.max(STEP_MIB, this.#mib / 2));
  }

  /** Does nothing: memory use is a state, not a rate. */
  measure(): void {}

  shrink(): void {
    const usedMib = this.#mib - availableMib(this.#meminfo);
    const enough = Math.max(usedMib, 0) / USED_PART;
    if (enough + STEP_MIB <= this.#mib) this.#want(enough);
  }

  #want(mib: number): void {
    const { leastMib, mostMib } = this.#bounds;
    const steps = Math.ceil(mib / STEP_MIB) * STEP_MIB;
    const wanted = Math.min(mostMib, Math.max(leastMib, steps));
    if (wanted === this.#mib) return;
    this.#mib = wanted;
    this.#ask(wanted);
  }
}

/** Limits of the guest's memory, in MiB. */
export interface MemoryBounds {
  readonly leastMib: number;
  readonly mostMib: number;
}

/** Returns the memory that can be allocated without reclaiming what is in use: proc_meminfo(5). */
function availableMib(path: string): number {
  const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(path)) ?? [];
  return Number(kib ?? 0) / KIB_PER_MIB;
}
