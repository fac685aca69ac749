import type { Elastic } from "./pressure.ts";
import { countProcessors, setOnline } from "./processors.ts";

/** The unit of /proc/stat is USER_HZ. */
const MS_PER_TICK = 10;
/** What has to be idle besides the processor that goes. */
const SPARE = 0.25;

/**
 * Brings one more processor online each time that something has waited for one for too long, and takes
 * one offline when all but one of them, and some, would have done since the last look. Never fewer than
 * there were at first.
 */
export class ProcessorLoad implements Elastic {
  readonly pressure = "/proc/pressure/cpu";
  readonly #stat: string;
  readonly #processors: string | undefined;
  readonly #least: number;
  #before = { at: 0, busyMs: 0 };

  /** The files are for tests. */
  constructor({ stat = "/proc/stat", processors }: { stat?: string; processors?: string } = {}) {
    this.#stat = stat;
    this.#processors = processors;
    this.#least = countProcessors(processors).online;
  }

  get isLeast(): boolean {
    return countProcessors(this.#processors).online <= this.#least;
  }

  grow(): void {
    const { online, present } = countProcessors(this.#processors);
    if (online < present) setOnline(online + 1, this.#processors);
  }

  measure(): void {
    this.#before = { at: performance.now(), busyMs: busyMsOf(this.#stat) };
  }

  shrink(): void {
    const { at, busyMs } = this.#before;
    this.measure();
    const used = (this.#before.busyMs - busyMs) / (this.#before.at - at);
    const { online } = countProcessors(this.#processors);
    if (online > this.#least && used < online - 1 - SPARE) setOnline(online - 1, this.#processors);
  }
}

/** What all processors have been busy, from the first line of /proc/stat (proc_stat(5)). */
function busyMsOf(path: string): number {
  const [, user, nice, kernel, , , irq, softirq] = Deno.readTextFileSync(path)
    .split("\n", 1)[0]!.trim().split(/\s+/).map(Number);
  return (user! + nice! + kernel! + irq! + softirq!) * MS_PER_TICK;
}
