import type { Fd } from "../ffi/mod.ts";
import {
  type Accelerator,
  type BalloonConfig,
  type DeviceCounts,
  type DiskConfig,
  hasSlotLeft,
  type VmConfig,
} from "./config.ts";
import type { VmFiles } from "./files.ts";

/** A directory of the host that the guest sees. */
export interface Share {
  readonly tag: string;
  readonly directory: string;
  readonly readonly: boolean;
  /** Nothing in it changes while the VM runs. */
  readonly isFixed?: boolean;
  readonly sandbox?: "namespace" | "chroot" | "none";
}

/** A file that the VM has as a disk of its own; the caller keeps the descriptor. */
export interface ScratchDisk {
  readonly serial: string;
  readonly file: Fd;
  /** Whether it is read after the VM has ended, so that flushes must reach it; default: no. */
  readonly outlives?: boolean;
}

/** A network interface on a tap. */
export interface NicPlan {
  readonly mac: string;
  /** The tap, and /dev/vhost-net where it is used; the caller keeps both descriptors. */
  readonly tap: Fd;
  readonly vhost?: Fd;
}

/** A VM for `bootVm`. */
export interface BootPlan {
  /** Namespace and container, which the processes have in their arguments and environment. */
  readonly name: string;
  readonly files: VmFiles;
  readonly accelerator: Accelerator;
  readonly tscKhz?: number;
  /** Memory that the guest may use at first. */
  readonly memoryMib: number;
  /** Memory that it may grow to; default: `memoryMib`. */
  readonly memoryMibMax?: number;
  readonly vcpus: number;
  /** vCPUs that the guest may bring online later; default: `vcpus`. */
  readonly vcpusMax?: number;
  /** Whether memory that is free in the guest returns to the host; default: no. */
  readonly returnsMemory?: boolean;
  readonly vsockTransport: "kernel" | "vhost-user";
  /** Directory for this VM alone, which the caller owns; sockets are made in it and removed. */
  readonly runDirectory: string;
  readonly shares: readonly Share[];
  readonly disks?: readonly DiskConfig[];
  readonly scratchDisks?: readonly ScratchDisk[];
  readonly nics?: readonly NicPlan[];
  readonly kernelParameters?: readonly string[];
  /** Line that the guest prints on the console once it listens. */
  readonly readyMarker: string;
  /** Default: 30 s under KVM, 120 s under TCG (boot.ts). */
  readonly bootTimeoutMs?: number;
}

/** Descriptor numbers in the QEMU process. */
export interface QemuFds {
  readonly qmp: number;
  /** The vhost-user socket; null with the kernel's vsock. */
  readonly vsock: number | null;
  /** One per share, in their order. */
  readonly filesystems: readonly number[];
  /** One per scratch disk, in their order. */
  readonly scratchDisks: readonly number[];
  /** One per NIC, in their order. */
  readonly nics: readonly { readonly tap: number; readonly vhost?: number }[];
}

/** Counts the devices that a VM must have. Pure. */
export function deviceCounts(plan: BootPlan): DeviceCounts {
  return {
    filesystems: plan.shares.length,
    disks: (plan.disks?.length ?? 0) + (plan.scratchDisks?.length ?? 0),
    nics: plan.nics?.length ?? 0,
  };
}

/** Returns the balloon that a VM should have, even if no slot is left; null for none. Pure. */
export function wantedBalloon(plan: BootPlan): BalloonConfig | null {
  const returnsFree = plan.returnsMemory === true;
  const holdsBack = plan.memoryMib < (plan.memoryMibMax ?? 0);
  return returnsFree || holdsBack ? { returnsFree, holdsBack } : null;
}

/** Returns the balloon that a VM has: `wantedBalloon`, if a slot is left. Pure. */
export function balloonOf(plan: BootPlan): BalloonConfig | null {
  return hasSlotLeft(deviceCounts(plan)) ? wantedBalloon(plan) : null;
}

/** Returns the configuration for a plan, once context id and descriptors are known. Pure. */
export function vmConfigOf(plan: BootPlan, cid: number, fds: QemuFds): VmConfig {
  return {
    name: plan.name,
    qemuPath: plan.files.qemuPath,
    firmwarePath: plan.files.firmwarePath,
    kernelPath: plan.files.kernelPath,
    rootPath: plan.files.rootPath,
    initrdPath: plan.files.initrdPath,
    accelerator: plan.accelerator,
    ...(plan.tscKhz === undefined ? {} : { tscKhz: plan.tscKhz }),
    memoryMib: plan.memoryMibMax ?? plan.memoryMib,
    vcpus: plan.vcpus,
    vcpusMax: plan.vcpusMax ?? plan.vcpus,
    vsock: fds.vsock === null
      ? { transport: "kernel", cid }
      : { transport: "vhost-user", cid, socket: { fd: fds.vsock } },
    filesystems: plan.shares.map(({ tag }, index) => ({
      tag,
      socket: { fd: fds.filesystems[index]! },
    })),
    disks: plan.disks ?? [],
    scratchDisks: (plan.scratchDisks ?? []).map(({ serial, outlives }, index) => ({
      serial,
      fd: fds.scratchDisks[index]!,
      ...(outlives === undefined ? {} : { outlives }),
    })),
    nics: (plan.nics ?? []).map(({ mac }, index) => {
      const { tap, vhost } = fds.nics[index]!;
      return { mac, tapFd: tap, ...(vhost === undefined ? {} : { vhostFd: vhost }) };
    }),
    balloon: balloonOf(plan),
    qmp: { fd: fds.qmp },
    ...(plan.kernelParameters === undefined ? {} : { kernelParameters: plan.kernelParameters }),
  };
}
