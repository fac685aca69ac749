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

/** A folder of the host that the guest sees. */
export interface Share {
  readonly tag: string;
  readonly directory: string;
  readonly readonly: boolean;
  /** Nobody changes anything in it while the machine runs. */
  readonly isFixed?: boolean;
  readonly sandbox?: "namespace" | "chroot" | "none";
}

/** A file that the machine has as a disk of its own; the descriptor stays the caller's. */
export interface ScratchDisk {
  readonly serial: string;
  readonly file: Fd;
  /** Somebody reads it later: what the guest flushes is flushed; default: nobody does. */
  readonly outlives?: boolean;
}

export interface NicPlan {
  readonly mac: string;
  /** The tap, and /dev/vhost-net where it is used; both stay the caller's. */
  readonly tap: Fd;
  readonly vhost?: Fd;
}

/** What `bootVm` shall boot. */
export interface BootPlan {
  /** Names namespace and container: it is in the processes' arguments and environment. */
  readonly name: string;
  readonly files: VmFiles;
  readonly accelerator: Accelerator;
  readonly tscKhz?: number;
  /** What the guest may use at first. */
  readonly memoryMib: number;
  /** What it may grow to; default: no more. */
  readonly memoryMibMax?: number;
  readonly vcpus: number;
  /** What the guest may bring online later; default: no more. */
  readonly vcpusMax?: number;
  /** Whether memory that is free in the guest goes back to the host; default: it does not. */
  readonly returnsMemory?: boolean;
  readonly vsockTransport: "kernel" | "vhost-user";
  /** A folder of the caller's, for this machine alone; sockets are made in it and removed again. */
  readonly runDirectory: string;
  readonly shares: readonly Share[];
  readonly disks?: readonly DiskConfig[];
  readonly scratchDisks?: readonly ScratchDisk[];
  readonly nics?: readonly NicPlan[];
  readonly kernelParameters?: readonly string[];
  /** The line on the console by which the guest says that it listens. */
  readonly readyMarker: string;
  /** Default: BOOT_TIMEOUT_MS of the accelerator. */
  readonly bootTimeoutMs?: number;
}

/** Descriptor numbers in the QEMU process. */
export interface QemuFds {
  readonly qmp: number;
  /** The vhost-user socket; null with the kernel's vsock. */
  readonly vsock: number | null;
  /** One a share, in their order. */
  readonly filesystems: readonly number[];
  /** One a scratch disk, in their order. */
  readonly scratchDisks: readonly number[];
  /** One a NIC, in their order. */
  readonly nics: readonly { readonly tap: number; readonly vhost?: number }[];
}

/** The devices that a machine cannot do without. */
export function deviceCounts(plan: BootPlan): DeviceCounts {
  return {
    filesystems: plan.shares.length,
    disks: (plan.disks?.length ?? 0) + (plan.scratchDisks?.length ?? 0),
    nics: plan.nics?.length ?? 0,
  };
}

/** The balloon that a machine should have, and for which there may be no slot; null: none. */
export function wantedBalloon(plan: BootPlan): BalloonConfig | null {
  const returnsFree = plan.returnsMemory === true;
  const holdsBack = plan.memoryMib < (plan.memoryMibMax ?? 0);
  return returnsFree || holdsBack ? { returnsFree, holdsBack } : null;
}

/** The balloon that a machine has: the one wanted, where there is a slot for it. */
export function balloonOf(plan: BootPlan): BalloonConfig | null {
  return hasSlotLeft(deviceCounts(plan)) ? wantedBalloon(plan) : null;
}

/** The configuration for a plan, once context id and descriptors are known. Pure. */
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
