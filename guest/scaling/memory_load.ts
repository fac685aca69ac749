import type { Elastic } from "./pressure.ts";

/** What the machine may use of its memory, in MiB. */
export interface MemoryBounds {
  readonly leastMib: number;
  readonly mostMib: number;
}

const KIB_PER_MIB = 1024;
/** Each time it asks for half as much again, and for so much at least. */
const STEP_MIB = 128;
/** What shall be left when it has shrunk: a quarter. */
const USED_PART = 0.75;

/**
 * Asks the host for more memory each time that something has waited for it for too long, and does with
 * less when what is used leaves more than a quarter of it. Never less than at first.
 */
export class MemoryLoad implements Elastic {
  readonly pressure = "/proc/pressure/memory";
  readonly #bounds: MemoryBounds;
  readonly #ask: (mib: number) => void;
  readonly #meminfo: string;
  #mib: number;

  /** @param ask tells the host how much it would use, all in all, in MiB. */
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

  /** Memory is used or not: there is nothing to compare with. */
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

/** What could be taken without pushing anything else out: proc_meminfo(5). */
function availableMib(path: string): number {
  const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(path)) ?? [];
  return Number(kib ?? 0) / KIB_PER_MIB;
}
