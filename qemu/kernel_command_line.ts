import type { VmConfig } from "./config.ts";
import { VmError } from "./error.ts";

/** COMMAND_LINE_SIZE of x86, less what QEMU appends for 8 virtio-mmio devices and the final zero. */
const COMMAND_LINE_BYTES_MAX = 2048 - 8 * 48 - 1;

/**
 * The kernel command line. It is the same for every container on a host, so that a booted guest can
 * become a template: names, addresses and ids go to the guest by RPC.
 *
 * QEMU appends a `virtio_mmio.device=…` for each device (acpi=off).
 * @throws VmError `config` when it is too long for the kernel.
 */
export function kernelCommandLine(
  config: Pick<
    VmConfig,
    "accelerator" | "tscKhz" | "vcpus" | "vcpusMax" | "balloon" | "kernelParameters"
  >,
): string {
  const line = [
    // The serial port is the console. Every byte on it costs an exit to QEMU, so the kernel only
    // says what is a warning or worse.
    "console=ttyS0",
    "quiet",
    // A guest that panics resets at once, and -no-reboot makes QEMU end then. A triple fault is
    // the only reset that a microvm without ACPI and keyboard controller has.
    "panic=-1",
    "reboot=t",
    ...(config.accelerator === "tcg" ? tcgParameters(config.tscKhz) : []),
    // The others stay offline until they are wanted.
    ...(config.vcpus < config.vcpusMax ? [`maxcpus=${config.vcpus}`] : []),
    // The kernel would keep up to an eighth of the memory in lists of each processor, from where freed
    // pages come back by and by: a hundredth is enough, the rest is the host's.
    ...(config.balloon?.returnsFree ? ["sysctl.vm.percpu_pagelist_high_fraction=100"] : []),
    ...(config.kernelParameters ?? []),
  ].join(" ");
  if (line.length > COMMAND_LINE_BYTES_MAX) {
    throw new VmError(
      "config",
      `kernel command line has ${line.length} bytes, more than ${COMMAND_LINE_BYTES_MAX}`,
    );
  }
  return line;
}

/** Under KVM the processor and kvm-clock make all of this unnecessary. */
function tcgParameters(tscKhz: number | undefined): string[] {
  return [
    // TCG's rdtsc is the host's. Measuring it against the emulated PIT fails now and then on a
    // busy host, and the boot hangs.
    ...(tscKhz === undefined ? [] : [`tsc_early_khz=${tscKhz}`]),
    // No watchdog that takes a pause of the host for an unstable TSC.
    "tsc=reliable",
    // The timer check counts ticks in real time and panics when the host was busy meanwhile.
    "no_timer_check",
    // TCG translates code page by page and notices when the guest, or QEMU itself, writes to a page
    // that it has translated; what another process writes to it, as virtiofsd does, it does not. A
    // page that held code would go on to run the old code with a new file in it. Zeroing each page
    // as it is handed out is such a write of the guest's.
    "init_on_alloc=1",
  ];
}
