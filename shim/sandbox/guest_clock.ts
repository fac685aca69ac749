import { system } from "../../ffi/mod.ts";
import { delay, messageOf } from "../../base/mod.ts";

/** Tolerated offset of the guest's clock, which drifts over a container's life. */
const TOLERANCE_NS = 10_000_000n;
const CHECK_EVERY_MS = 10 * 60_000;
/** Slow answers say little, so the best of several readings counts. */
const READINGS = 4;

/** Moves the guest's clock by nanoseconds (0: not at all). Resolves with its time after that. */
export type AdjustClock = (addNanoseconds: bigint) => Promise<bigint>;

/** How far a clock is behind this host's, in nanoseconds, and the uncertainty of that. */
export interface ClockReading {
  readonly behind: bigint;
  readonly uncertainty: bigint;
}

/**
 * Keeps the guest's clock near the host's, until `signal` aborts. The call that set it took some
 * time on its way, and the guest's clock runs at the pace of its own machine. Never rejects.
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
      log(`the guest's clock was not read: ${messageOf(error)}`);
    }
    await delay(CHECK_EVERY_MS, signal);
  }
}

/** Reads the guest's clock, and moves it when its offset is beyond tolerance and uncertainty. */
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
