import { O, type Poller, type System } from "../../ffi/mod.ts";

const WINDOW_US = 1_000_000;

/**
 * Grows `elastic` each time that the kernel reports pressure (Documentation/accounting/psi.rst),
 * and asks it to shrink at intervals while it is not at its least. Runs forever.
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
    // The new step is not in use yet: look only after a while without pressure.
    clearInterval(timer ?? undefined);
    elastic.measure();
    timer = setInterval(look, cooldownMs);
  }
}

/** When a resource grows, and when it shrinks. */
export interface PressureRules {
  /** Percentage of a second in which tasks were stalled on the resource (PSI `some`). */
  readonly growPercent: number;
  /** From the last pressure to the first attempt to shrink, and between two attempts. */
  readonly cooldownMs: number;
}

/** A resource that grows under pressure: CPUs, or memory. */
export interface Elastic {
  /** The kernel's pressure file. */
  readonly pressure: string;
  /** Whether the resource is at its initial size. */
  readonly isLeast: boolean;
  /** Adds a step, if possible. */
  grow(): void;
  /** Starts to measure the use. */
  measure(): void;
  /** Removes a step, if less would have been enough since the last look; and measures anew. */
  shrink(): void;
}
