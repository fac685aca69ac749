import { type Poller, type System } from "../ffi/mod.ts";
import { KernelFile } from "./kernel_file.ts";

/**
 * Freezes everything in `cgroup` and below it. Resolves when all of it stands still, or nothing is
 * left in it.
 *
 * @throws the reason of `signal` when it is aborted; then nothing is frozen
 * @throws {SystemError} ENOENT: it is gone
 */
export async function freeze(
  system: System,
  poller: Poller,
  cgroup: string,
  signal: AbortSignal,
): Promise<void> {
  using events = new KernelFile(system, poller, `${cgroup}/cgroup.events`);
  writeFreeze(cgroup, "1");
  try {
    for (;;) {
      const state = events.read();
      if (state.get("frozen") === 1n || state.get("populated") === 0n) return;
      await events.changed(signal);
    }
  } catch (error) {
    thaw(cgroup);
    throw error;
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
