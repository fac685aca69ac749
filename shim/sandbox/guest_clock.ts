import { system } from "../../ffi/mod.ts";
import { pause } from "../base/pause.ts";

/** The guest's clock may be off by this much; a container's life is longer than a clock is good. */
const TOLERANCE_NS = 10_000_000n;
const CHECK_EVERY_MS = 10 * 60_000;
/** Answers that took long say little: the best of so many counts. */
const READINGS = 4;

/**
 * Moves the guest's clock, in nanoseconds (0: not at all), and resolves with what it says then.
 */
export type AdjustClock = (addNanoseconds: bigint) => Promise<bigint>;

/** How far a clock is behind this host's, in nanoseconds, and by how much that may be wrong. */
export interface ClockReading {
  readonly behind: bigint;
  readonly uncertainty: bigint;
}

/**
 * Keeps the guest's clock near the host's, until the signal: it was set by a call that was some time
 * on its way, and runs at the pace of its own machine. Never rejects.
 */
export async function keepClock(
  adjust: AdjustClock,
  signal: AbortSignal,
  log: (message: string) => void,
  now: () => bigint = () => system.clock("realtime"),
): Promise<void> {
  while (!signal.aborted) {
    try {
      await setRight(adjust, now);
    } catch (error) {
      log(`the guest's clock was not looked at: ${(error as Error).message}`);
    }
    await pause(CHECK_EVERY_MS, signal);
  }
}

/** Looks at the guest's clock, and moves it when it is wrong for sure. */
export async function setRight(adjust: AdjustClock, now: () => bigint): Promise<void> {
  const { behind, uncertainty } = await read(adjust, now);
  const off = behind < 0n ? -behind : behind;
  if (off > TOLERANCE_NS && off > uncertainty) await adjust(behind);
}

async function read(adjust: AdjustClock, now: () => bigint): Promise<ClockReading> {
  let best: ClockReading | null = null;
  for (let reading = 0; reading < READINGS; reading++) {
    const before = now();
    const guest = await adjust(0n);
    const uncertainty = (now() - before) / 2n;
    if (best === null || uncertainty < best.uncertainty) {
      best = { behind: before + uncertainty - guest, uncertainty };
    }
  }
  return best!;
}
