import type { VmConfig } from "./config.ts";
import { VmError } from "./error.ts";

/** virtio-mmio devices of a microvm with acpi=off (hw/i386/microvm.c: 8 of its IRQs are free). */
export const VIRTIO_SLOTS_MAX = 8;

/** Returns whether a slot is left for an optional device. Pure. */
export function hasSlotLeft({ filesystems, disks, nics }: DeviceCounts): boolean {
  return 2 + filesystems + disks + nics < VIRTIO_SLOTS_MAX;
}

/** Number of devices of each kind, besides the vsock and the root disk. */
export interface DeviceCounts {
  readonly filesystems: number;
  readonly disks: number;
  readonly nics: number;
}

/**
 * Checks the budget of virtio devices, which is kept here alone.
 *
 * @throws VmError `config` if the VM needs more devices than it has slots.
 */
export function checkSlots({ filesystems, disks, nics }: DeviceCounts): void {
  const needed = 2 + filesystems + disks + nics;
  if (needed <= VIRTIO_SLOTS_MAX) return;
  throw new VmError(
    "config",
    `virtual machine needs ${needed} virtio devices (1 vsock, 1 root disk, ` +
      `${filesystems} file systems, ${disks} disks, ${nics} network interfaces), but a microvm has ${VIRTIO_SLOTS_MAX} slots`,
  );
}

/** How a guest gives memory back to the host. */
export interface BalloonConfig {
  /** Whether memory that is free in the guest returns to the host, at any time. */
  readonly returnsFree: boolean;
  /** Whether the balloon holds memory back, which the guest takes out of it if it has none left. */
  readonly holdsBack: boolean;
}

/** Counts the devices that a VM must have. Pure. */
export function deviceCounts(
  { shares, disks, scratchDisks, nics }: Pick<
    VmConfig,
    "shares" | "disks" | "scratchDisks" | "nics"
  >,
): DeviceCounts {
  return {
    filesystems: shares.length,
    disks: disks.length + scratchDisks.length,
    nics: nics.length,
  };
}

/** Returns the balloon that a VM should have, even if no slot is left; null for none. Pure. */
export function wantedBalloon(
  { returnsMemory, size }: Pick<VmConfig, "returnsMemory" | "size">,
): BalloonConfig | null {
  const holdsBack = size.memoryMib < size.memoryMibMax;
  return returnsMemory || holdsBack ? { returnsFree: returnsMemory, holdsBack } : null;
}

/** Returns the balloon that a VM has: `wantedBalloon`, if a slot is left. Pure. */
export function balloonOf(config: VmConfig): BalloonConfig | null {
  return hasSlotLeft(deviceCounts(config)) ? wantedBalloon(config) : null;
}
