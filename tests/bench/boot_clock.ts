import type { Ledger, Vm, VmConfig } from "../../qemu/mod.ts";
import type { GuestSecret } from "../../proto/mod.ts";
import type { TestHost } from "../qemu/guest.ts";
import { cpuSeconds } from "../lib/cpu_time.ts";

/** A booted VM, and the time from the exec of QEMU to the ready line. */
export interface TimedBoot {
  readonly vm: Vm;
  readonly ms: number;
  /** Time to stage 0's line that it starts vminitd; null if there was none. */
  readonly stage0Ms: number | null;
  /** CPU time of QEMU in seconds; null if it had exited before. */
  readonly cpu: number | null;
}

/** Last line of stage 0 (build/initrd/init). */
const STAGE0_END = "qemubox: starting vminitd";

/** Boots a VM that `host` owns. */
export async function bootTimed(
  host: TestHost,
  plan: VmConfig,
  secret?: GuestSecret,
): Promise<TimedBoot> {
  let qemu: number | null = null;
  let cpu: number | null = null;
  let text = "";
  let stage0At: number | null = null;
  let readyAt = 0;
  const ledger: Ledger = {
    intend: () => {},
    recordProcesses: (_intent, processes) => {
      qemu = processes.find(({ role }) => role === "qemu")?.pid ?? qemu;
    },
  };
  // Read at the line itself: an idle guest ends QEMU milliseconds later.
  const console = (chunk: Uint8Array) => {
    if (text.includes(plan.readyMarker)) return;
    text += new TextDecoder().decode(chunk);
    if (text.includes(STAGE0_END)) stage0At ??= performance.now();
    if (!text.includes(plan.readyMarker)) return;
    cpu = cpuIfThere(qemu);
    readyAt = performance.now();
  };
  const vm = await host.boot(plan, {
    ...{ ledger, console },
    ...(secret === undefined ? {} : { consoleInput: secret.digits() }),
  });
  const ms = vm.timeline.readyMs - vm.timeline.spawnedMs;
  return { vm, ms, stage0Ms: stage0At === null ? null : ms - (readyAt - stage0At), cpu };
}

function cpuIfThere(pid: number | null): number | null {
  try {
    return pid === null ? null : cpuSeconds(pid);
  } catch {
    return null;
  }
}
