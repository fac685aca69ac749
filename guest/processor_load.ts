import { O, type Poller, type System } from "../ffi/mod.ts";
import { countProcessors, setOnline } from "./processors.ts";

/** When processors come and go by load. */
export interface LoadRules {
  /** Of a second, in which something waited for a processor. */
  readonly growPercent: number;
  /** Between two looks whether one fewer would do. */
  readonly cooldownMs: number;
}

/** What is watched, for tests. */
export interface LoadFiles {
  readonly pressure: string;
  readonly stat: string;
  readonly processors?: string;
}

const FILES: LoadFiles = { pressure: "/proc/pressure/cpu", stat: "/proc/stat" };
const WINDOW_US = 1_000_000;
/** The unit of /proc/stat is USER_HZ. */
const MS_PER_TICK = 10;
/** What has to be idle besides the processor that goes. */
const SPARE = 0.25;

/**
 * Brings one more processor online each time that something has waited for one for too long, which the
 * kernel tells (Documentation/accounting/psi.rst), and takes one offline when all but one of them, and
 * some, would have done since the last look. Never fewer than there are now. Runs for ever.
 *
 * @throws {SystemError} the kernel has no such file
 */
export async function followLoad(
  system: System,
  poller: Poller,
  { growPercent, cooldownMs }: LoadRules,
  { pressure, stat, processors }: LoadFiles = FILES,
): Promise<never> {
  const least = countProcessors(processors).online;
  const trigger = system.open(pressure, O.RDWR | O.NONBLOCK);
  const text = `some ${growPercent * WINDOW_US / 100} ${WINDOW_US}\0`;
  system.write(trigger, new TextEncoder().encode(text));

  let before = { at: performance.now(), busyMs: busyMsOf(stat) };
  let timer: ReturnType<typeof setInterval> | null = null;
  using undo = new DisposableStack();
  undo.defer(() => system.close(trigger));
  undo.defer(() => clearInterval(timer ?? undefined));
  /** Nothing is looked at while nothing could go. */
  const look = (): void => {
    const now = { at: performance.now(), busyMs: busyMsOf(stat) };
    const used = (now.busyMs - before.busyMs) / (now.at - before.at);
    before = now;
    const { online } = countProcessors(processors);
    if (online > least && used < online - 1 - SPARE) setOnline(online - 1, processors);
    if (countProcessors(processors).online > least || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
  for (;;) {
    await poller.wait(trigger, "urgent");
    const { online, present } = countProcessors(processors);
    if (online < present) setOnline(online + 1, processors);
    if (timer !== null) continue;
    before = { at: performance.now(), busyMs: busyMsOf(stat) };
    timer = setInterval(look, cooldownMs);
  }
}

/** What all processors have been busy, from the first line of /proc/stat (proc_stat(5)). */
function busyMsOf(path: string): number {
  const [, user, nice, kernel, , , irq, softirq] = Deno.readTextFileSync(path)
    .split("\n", 1)[0]!.trim().split(/\s+/).map(Number);
  return (user! + nice! + kernel! + irq! + softirq!) * MS_PER_TICK;
}
