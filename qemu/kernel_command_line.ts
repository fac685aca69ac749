import type { VmConfig } from "./config.ts";
import { balloonOf } from "./devices.ts";
import { VmError } from "./error.ts";

/** COMMAND_LINE_SIZE of x86, less QEMU's additions for 8 virtio-mmio devices and the final zero. */
const COMMAND_LINE_BYTES_MAX = 2048 - 8 * 48 - 1;

/**
 * Returns the kernel command line. Pure. It is the same for every container on a host, so that a
 * booted guest can become a template: names, addresses and ids go to the guest by RPC.
 *
 * QEMU appends a `virtio_mmio.device=…` for each device (acpi=off).
 *
 * @throws VmError `config` if it is too long for the kernel.
 */
export function kernelCommandLine(config: VmConfig): string {
  const { vcpus, vcpusMax } = config.size;
  const line = [
    // The serial port is the console. Each byte on it costs an exit to QEMU, so the kernel prints
    // only warnings and worse.
    "console=ttyS0",
    "quiet",
    // A guest that panics resets at once, and -no-reboot makes QEMU exit then. A triple fault is
    // the only reset of a microvm without ACPI and keyboard controller.
    "panic=-1",
    "reboot=t",
    ...(config.accelerator === "tcg" ? tcgParameters(config.tscKhz) : []),
    // The other vCPUs stay offline until they are needed.
    ...(vcpus < vcpusMax ? [`maxcpus=${vcpus}`] : []),
    // The kernel would keep up to an eighth of the memory in per-CPU lists, from which freed pages
    // return slowly: a hundredth is enough, and the rest returns to the host.
    ...(balloonOf(config)?.returnsFree ? ["sysctl.vm.percpu_pagelist_high_fraction=100"] : []),
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

/** Under KVM, the CPU and kvm-clock make all of these unnecessary. */
function tcgParameters(tscKhz: number | null): string[] {
  return [
    // TCG's rdtsc is the host's. Measuring it against the emulated PIT sometimes fails on a busy
    // host, and the boot hangs.
    ...(tscKhz === null ? [] : [`tsc_early_khz=${tscKhz}`]),
    // Disables the watchdog, which takes a stall of the host for an unstable TSC.
    "tsc=reliable",
    // The timer check counts ticks in real time and panics if the host is busy meanwhile.
    "no_timer_check",
    // TCG translates code page by page and notices when the guest or QEMU itself writes to a
    // translated page, but not when another process does, as virtiofsd does. A page that held code
    // would run the old code after a new file was read into it. Zeroing each page as it is
    // allocated is a write by the guest.
    "init_on_alloc=1",
  ];
}
