import { delay, ifPresent } from "../../base/mod.ts";
import { type Poller, type System } from "../../ffi/mod.ts";
import { KernelFile } from "../base/kernel_file.ts";

/** Limit of attempts to freeze processes where CRIU can seize them. */
const TRIES_MAX = 20;
/** How long they run between two attempts; a child reaches its exec(2) within milliseconds. */
const RUN_MS = { first: 1, most: 32 };

/**
 * Freezes everything in `cgroup` and below it. Resolves when all processes are frozen, or none is
 * left. A process that is frozen where CRIU cannot seize it is thawed for a moment and frozen
 * again: otherwise one in seven checkpoints of a shell that starts one command after the other
 * would fail.
 *
 * @param isInVfork returns whether one of the processes waits for its child's exec(2)
 * @throws the reason of `signal` if it aborts; then nothing is frozen
 * @throws {SystemError} ENOENT: the cgroup is gone
 */
export async function freeze(
  system: System,
  poller: Poller,
  cgroup: string,
  isInVfork: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  using events = new KernelFile(system, poller, `${cgroup}/cgroup.events`);
  try {
    for (let tries = 1, runMs = RUN_MS.first;; tries++, runMs = Math.min(2 * runMs, RUN_MS.most)) {
      writeFreeze(cgroup, "1");
      await frozen(events, signal);
      // If a child never reaches exec(2) the container is frozen all the same, and CRIU may fail.
      if (tries === TRIES_MAX || !isInVfork()) return;
      writeFreeze(cgroup, "0");
      await delay(runMs);
    }
  } catch (error) {
    thaw(cgroup);
    throw error;
  }
}

async function frozen(events: KernelFile, signal: AbortSignal): Promise<void> {
  for (;;) {
    const state = events.read();
    if (state.get("frozen") === 1n || state.get("populated") === 0n) return;
    await events.changed(signal);
  }
}

/** Undoes {@linkcode freeze}, unless the cgroup is gone. */
export function thaw(cgroup: string): void {
  ifPresent(() => writeFreeze(cgroup, "0"));
}

function writeFreeze(cgroup: string, value: "0" | "1"): void {
  Deno.writeTextFileSync(`${cgroup}/cgroup.freeze`, value, { create: false });
}
