import { type Pid, SIG, type System, SystemError } from "../ffi/mod.ts";
import { type Bundles } from "./bundles.ts";
import { type Console, describe } from "./console.ts";
import { type Reaper } from "./reaper.ts";

/**
 * How long the host may take to close its connections once it has the answer. The reset would
 * overtake an answer that is still on its way through the vsock device.
 */
const FAREWELL_TIMEOUT_MS = 300;
/** How long killed processes may take to be gone. The host gives the guest 2 s for everything. */
const KILL_TIMEOUT_MS = 1_000;

/** What is shut down. */
export interface ShutdownDependencies {
  readonly system: System;
  readonly reaper: Reaper;
  readonly bundles: Bundles;
  readonly console: Console;
  /** Resolves when the host has closed all its RPC connections. */
  readonly disconnected: () => Promise<void>;
}

/**
 * Ends the guest: kills everything, unmounts the bundles, syncs, and resets the machine, which ends
 * QEMU (it runs with -no-reboot). Best effort, all of it tried, each wait bounded.
 */
export async function shutDown(dependencies: ShutdownDependencies): Promise<void> {
  const { system, reaper, bundles, console, disconnected } = dependencies;
  const attempt = async (what: string, action: () => unknown): Promise<void> => {
    try {
      await action();
    } catch (error) {
      console.log(`shutdown: ${what}: ${describe(error)}`);
    }
  };
  const farewell = within(FAREWELL_TIMEOUT_MS, disconnected());
  await attempt("kill", () => killAll(system));
  await attempt("wait", () => within(KILL_TIMEOUT_MS, reaper.childless()));
  await attempt("unmount", () => bundles.deleteAll());
  await attempt("sync", () => system.sync());
  await attempt("connections", () => farewell);
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
