import { countCpus, setOnline } from "./cpus.ts";
import type { Elastic } from "./pressure.ts";

/** The unit of /proc/stat is USER_HZ. */
const MS_PER_TICK = 10;
/** The part of a CPU that has to be idle besides the one that goes offline. */
const SPARE = 0.25;

/**
 * Brings one more CPU online at each pressure, and takes one offline if all others, with some to
 * spare, would have been enough since the last look. Never goes below the number at first.
 */
export class CpuLoad implements Elastic {
  readonly pressure = "/proc/pressure/cpu";
  readonly #stat: string;
  readonly #cpus: string | undefined;
  readonly #now: () => number;
  readonly #least: number;
  #before = { at: 0, busyMs: 0 };

  constructor(
    { stat = "/proc/stat", cpus, now = () => performance.now() }: CpuLoadOptions = {},
  ) {
    this.#stat = stat;
    this.#cpus = cpus;
    this.#now = now;
    this.#least = countCpus(cpus).online;
  }

  get isLeast(): boolean {
    return countCpus(this.#cpus).online <= this.#least;
  }

  grow(): void {
    const { online, present } = countCpus(this.#cpus);
    if (online < present) setOnline(online + 1, this.#cpus);
  }

  measure(): void {
    this.#before = { at: this.#now(), busyMs: busyMsOf(this.#stat) };
  }

  shrink(): void {
    const { at, busyMs } = this.#before;
    this.measure();
    const used = (this.#before.busyMs - busyMs) / (this.#before.at - at);
    const { online } = countCpus(this.#cpus);
    if (online > this.#least && used < online - 1 - SPARE) setOnline(online - 1, this.#cpus);
  }
}

/** The guest's files and its clock, which tests replace. */
export interface CpuLoadOptions {
  readonly stat?: string;
  /** Directory of the CPUs. */
  readonly cpus?: string;
  /** Returns the time in milliseconds. */
  readonly now?: () => number;
}

/** Returns the busy time of all CPUs, from the first line of /proc/stat (proc_stat(5)). */
function busyMsOf(path: string): number {
  const [, user, nice, kernel, , , irq, softirq] = Deno.readTextFileSync(path)
    .split("\n", 1)[0]!.trim().split(/\s+/).map(Number);
  return (user! + nice! + kernel! + irq! + softirq!) * MS_PER_TICK;
}
