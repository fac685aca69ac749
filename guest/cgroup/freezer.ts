import { type Poller, type System } from "../../ffi/mod.ts";
import { KernelFile } from "../base/kernel_file.ts";

/** How often processes that CRIU could not take hold of are let run on, at most. */
const TRIES_MAX = 20;
/** How long, at first and at most; a child comes to its exec(2) within milliseconds. */
const RUN_MS = { first: 1, most: 32 };

/**
 * Freezes everything in `cgroup` and below it. Resolves when all of it stands still, or nothing is
 * left in it. What stands where CRIU cannot take hold of it is let run on for a moment, and frozen
 * again: one in seven checkpoints of a shell that starts one command after the other would fail.
 *
 * @param isInVfork whether one of its processes waits for its child's exec(2)
 * @throws the reason of `signal` when it is aborted; then nothing is frozen
 * @throws {SystemError} ENOENT: it is gone
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
      await stoodStill(events, signal);
      // One whose child never comes to exec(2) is paused, and CRIU will say what it thinks of it.
      if (tries === TRIES_MAX || !isInVfork()) return;
      writeFreeze(cgroup, "0");
      await new Promise((resolve) => setTimeout(resolve, runMs));
    }
  } catch (error) {
    thaw(cgroup);
    throw error;
  }
}

async function stoodStill(events: KernelFile, signal: AbortSignal): Promise<void> {
  for (;;) {
    const state = events.read();
    if (state.get("frozen") === 1n || state.get("populated") === 0n) return;
    await events.changed(signal);
  }
}

/** Undoes {@linkcode freeze}; nothing when the cgroup is gone. */
export function thaw(cgroup: string): void {
  try {
    writeFreeze(cgroup, "0");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function writeFreeze(cgroup: string, value: "0" | "1"): void {
  Deno.writeTextFileSync(`${cgroup}/cgroup.freeze`, value, { create: false });
}
