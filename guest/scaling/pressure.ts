import { O, type Poller, type System } from "../../ffi/mod.ts";

/** When something that the machine has grows, and when it shrinks. */
export interface PressureRules {
  /** Of a second, in which something waited for it. */
  readonly growPercent: number;
  /** Between the last pressure and the first look whether less would do, and between two looks. */
  readonly cooldownMs: number;
}

/** What grows under pressure: processors, memory. */
export interface Elastic {
  /** The kernel's file of how long something waited for it. */
  readonly pressure: string;
  /** Whether there is no less of it than at first. */
  readonly isLeast: boolean;
  /** Adds a step, if there is one more. */
  grow(): void;
  /** From here on it is measured what is used. */
  measure(): void;
  /** Takes a step away, if less would have done since the last look; and measures anew. */
  shrink(): void;
}

const WINDOW_US = 1_000_000;

/**
 * Lets `elastic` grow each time that something has waited for it for too long, which the kernel tells
 * (Documentation/accounting/psi.rst), and asks it to shrink at intervals, but not while it is at its
 * least. Runs for ever.
 *
 * @throws {SystemError} the kernel has no such file
 */
export async function followPressure(
  system: System,
  poller: Poller,
  { growPercent, cooldownMs }: PressureRules,
  elastic: Elastic,
): Promise<never> {
  const trigger = system.open(elastic.pressure, O.RDWR | O.NONBLOCK);
  const text = `some ${growPercent * WINDOW_US / 100} ${WINDOW_US}\0`;
  let timer: ReturnType<typeof setInterval> | null = null;
  using undo = new DisposableStack();
  undo.defer(() => system.close(trigger));
  undo.defer(() => clearInterval(timer ?? undefined));
  system.write(trigger, new TextEncoder().encode(text));
  const look = (): void => {
    elastic.shrink();
    if (!elastic.isLeast || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
  for (;;) {
    await poller.wait(trigger, "urgent");
    elastic.grow();
    // What is about to be used is not used yet: it is looked at after a while without pressure.
    clearInterval(timer ?? undefined);
    elastic.measure();
    timer = setInterval(look, cooldownMs);
  }
}
