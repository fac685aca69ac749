import { type Pid, SIG, type System, SystemError } from "../../ffi/mod.ts";
import { type Bundles } from "../bundle/bundles.ts";
import { type Console, describe } from "../base/console.ts";
import { type Reaper } from "../base/reaper.ts";

/**
 * How long the host may take to close its connections once it has the answer. The reset would
 * overtake an answer that is still on its way through the vsock device.
 */
const FAREWELL_TIMEOUT_MS = 300;
/** How long killed processes may take to be gone. The host gives the guest 2 s for everything. */
const KILL_TIMEOUT_MS = 1_000;

/** What is brought to rest. */
export interface QuiesceDependencies {
  readonly system: System;
  readonly reaper: Reaper;
  readonly bundles: Bundles;
  readonly console: Console;
}

/**
 * Brings the guest to where its machine may be switched off at any moment: kills everything, unmounts
 * the bundles, syncs. Best effort, all of it tried, each wait bounded. Never rejects.
 */
export async function quiesce(dependencies: QuiesceDependencies): Promise<void> {
  const { system, reaper, bundles, console } = dependencies;
  const attempt = async (what: string, action: () => unknown): Promise<void> => {
    try {
      await action();
    } catch (error) {
      console.log(`shutdown: ${what}: ${describe(error)}`);
    }
  };
  await attempt("kill", () => killAll(system));
  await attempt("wait", () => within(KILL_TIMEOUT_MS, reaper.childless()));
  // What it takes is the disk's time: unmounting would stand still for it.
  await attempt("flush", () => bundles.flushAll());
  await attempt("unmount", () => bundles.deleteAll());
  await attempt("sync", () => system.sync());
}

/**
 * Resets the machine, which ends QEMU (it runs with -no-reboot): for a host that does not switch it
 * off itself.
 *
 * @param disconnected resolves when the host has closed all its RPC connections
 */
export async function reset(system: System, disconnected: Promise<void>): Promise<void> {
  await within(FAREWELL_TIMEOUT_MS, disconnected);
  system.reboot("restart");
}

/** SIGKILLs all processes but PID 1. */
function killAll(system: System): void {
  try {
    system.kill(-1 as Pid, SIG.KILL);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "ESRCH") throw error;
  }
}

async function within(milliseconds: number, promise: Promise<void>): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, milliseconds);
  try {
    await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
