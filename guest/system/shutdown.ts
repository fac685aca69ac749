import { describeError, endsWithin } from "../../base/mod.ts";
import { isSystemError, type Pid, SIG, type System } from "../../ffi/mod.ts";
import { type Bundles } from "../bundle/bundles.ts";
import { type Console } from "../base/console.ts";
import { type Reaper } from "../base/reaper.ts";

/**
 * Limit for the host to close its connections after the answer. The reset would overtake an answer
 * that is still in the vsock device.
 */
const FAREWELL_TIMEOUT_MS = 300;
/** Limit for killed processes to exit. The host gives the guest 2 s for everything. */
const KILL_TIMEOUT_MS = 1_000;

/**
 * Prepares the guest for a power-off at any moment: kills everything, unmounts the bundles, syncs.
 * Best effort: a failed step is logged, and each wait is bounded. Never rejects.
 */
export async function quiesce(
  { system, reaper, bundles, console }: QuiesceDeps,
): Promise<void> {
  const attempt = async (what: string, action: () => unknown): Promise<void> => {
    try {
      await action();
    } catch (error) {
      console.log(`shutdown: ${what}: ${describeError(error)}`);
    }
  };
  await attempt("kill", () => killAll(system));
  await attempt("wait", () => endsWithin(reaper.childless(), KILL_TIMEOUT_MS));
  // Asynchronous: unmount would block until the disk has taken everything.
  await attempt("flush", () => bundles.flushAll());
  await attempt("unmount", () => bundles.deleteAll());
  await attempt("sync", () => system.sync());
}

/** The parts of vminitd that are shut down. */
export interface QuiesceDeps {
  readonly system: System;
  readonly reaper: Reaper;
  readonly bundles: Bundles;
  readonly console: Console;
}

/**
 * Resets the VM, which ends QEMU (it runs with -no-reboot), for a host that does not do it itself.
 *
 * @param disconnected resolves when the host has closed all RPC connections
 */
export async function reset(system: System, disconnected: Promise<void>): Promise<void> {
  await endsWithin(disconnected, FAREWELL_TIMEOUT_MS);
  system.reboot("restart");
}

/** SIGKILLs all processes except PID 1. */
function killAll(system: System): void {
  try {
    system.kill(-1 as Pid, SIG.KILL);
  } catch (error) {
    if (!isSystemError(error, "ESRCH")) throw error; // nobody to kill
  }
}
