import { VmError } from "./error.ts";

export type Accelerator = "kvm" | "tcg";

/** Where QEMU finds a socket: a path, or a connected descriptor that it inherits at this number. */
export type SocketSource = { readonly path: string } | { readonly fd: number };

export type VsockConfig =
  | {
    readonly transport: "kernel";
    readonly cid: number;
    /** An inherited descriptor of /dev/vhost-vsock; without it QEMU opens the device itself. */
    readonly vhostFd?: number;
  }
  | {
    readonly transport: "vhost-user";
    readonly cid: number;
    /** The vhost-user socket of vhost-device-vsock. */
    readonly socket: SocketSource;
  };

/** A folder of the host, served by a virtiofsd. */
export interface FilesystemConfig {
  /** What the guest mounts it by: 1 to 35 bytes. */
  readonly tag: string;
  readonly socket: SocketSource;
}

export interface DiskConfig {
  /** What the guest knows the disk by (/sys/block/vdX/serial): 1 to 20 bytes. */
  readonly serial: string;
  readonly path: string;
  /** "vmdk" joins several files to one disk through a descriptor file. */
  readonly format: "raw" | "vmdk";
  readonly readonly: boolean;
}

/** A disk for this machine alone: what it holds is gone with the machine. */
export interface ScratchDiskConfig {
  /** As above. */
  readonly serial: string;
  /** An inherited descriptor of a file, open for reading and writing. */
  readonly fd: number;
  /** What the guest flushes is flushed; default: nobody reads it later, and it is not. */
  readonly outlives?: boolean;
}

export interface NicConfig {
  /** "52:54:00:…"; the guest's interface must have the address that the network expects. */
  readonly mac: string;
  /** The inherited descriptor of a tap with VNET_HDR. */
  readonly tapFd: number;
  /** The inherited descriptor of /dev/vhost-net. */
  readonly vhostFd?: number;
}

/** By which a guest gives memory back to the host. */
export interface BalloonConfig {
  /** Whether that is what is free in the guest, always. */
  readonly returnsFree: boolean;
  /** Whether it holds back a part of the memory, which the guest takes out of it when it has none left. */
  readonly holdsBack: boolean;
}

/** A virtual machine as plain data. Descriptors are numbers in the QEMU process. */
export interface VmConfig {
  /** Seen in `ps`; also what a stray process is found by. */
  readonly name: string;
  readonly qemuPath: string;
  /** qboot.rom. */
  readonly firmwarePath: string;
  /** An uncompressed vmlinux with a PVH note. */
  readonly kernelPath: string;
  /** The EROFS image that all guests have as their root file system. */
  readonly rootPath: string;
  /** Stage 0: what the kernel starts, and what mounts the root file system. */
  readonly initrdPath: string;
  readonly accelerator: Accelerator;
  /** The host's TSC frequency; what the guest uses under TCG instead of measuring. */
  readonly tscKhz?: number;
  /** All that it may ever use. */
  readonly memoryMib: number;
  /** Those that the guest brings online as it boots. */
  readonly vcpus: number;
  /** Those that there are. */
  readonly vcpusMax: number;
  readonly vsock: VsockConfig;
  readonly filesystems: readonly FilesystemConfig[];
  readonly disks: readonly DiskConfig[];
  readonly scratchDisks: readonly ScratchDiskConfig[];
  readonly nics: readonly NicConfig[];
  /** null: it has none. */
  readonly balloon: BalloonConfig | null;
  /** QMP, in which QEMU is the server. */
  readonly qmp: SocketSource;
  /** Appended to the kernel command line. Nothing that differs between containers belongs here. */
  readonly kernelParameters?: readonly string[];
}

/** virtio-mmio devices of a microvm with acpi=off (hw/i386/microvm.c: 8 of its IRQs are free). */
export const VIRTIO_SLOTS_MAX = 8;
/** CONFIG_NR_CPUS of our kernel. */
export const VCPUS_MAX = 64;
/** Below this the kernel with vminitd does not come up. */
export const MEMORY_MIB_MIN = 128;
/** Above any host; a bound against nonsense. */
export const MEMORY_MIB_MAX = 16 * 1024 * 1024;
/** 0, 1 and 2 are taken: hypervisor, local, host (vsock(7)). */
export const CID_MIN = 3;
/** 0xffffffff is VMADDR_CID_ANY. */
export const CID_MAX = 0xffff_fffe;

/**
 * Checks a configuration as a whole.
 * @throws VmError `config`, naming the field.
 */
export function validateVmConfig(config: VmConfig): void {
  checkSlots({
    filesystems: config.filesystems.length,
    disks: config.disks.length + config.scratchDisks.length,
    nics: config.nics.length,
  });
  for (
    const field of ["qemuPath", "firmwarePath", "kernelPath", "rootPath", "initrdPath"] as const
  ) {
    const path = config[field];
    need(/^\/[^\0\n]*$/.test(path), field, path, "an absolute path");
  }
  need(/^[\x21-\x7e]{1,256}$/.test(config.name), "name", config.name, "1 to 256 printable bytes");
  needInteger(config.memoryMib, MEMORY_MIB_MIN, MEMORY_MIB_MAX, "memoryMib");
  needInteger(config.vcpusMax, 1, VCPUS_MAX, "vcpusMax");
  needInteger(config.vcpus, 1, config.vcpusMax, "vcpus");
  needInteger(config.vsock.cid, CID_MIN, CID_MAX, "vsock.cid");
  if (config.tscKhz !== undefined) needInteger(config.tscKhz, 100_000, 20_000_000, "tscKhz");

  needUnique(config.filesystems.map((one) => one.tag), "filesystems.tag");
  for (const { tag } of config.filesystems) {
    need(
      /^[A-Za-z0-9._-]{1,35}$/.test(tag),
      "filesystems.tag",
      tag,
      "1 to 35 of A-Z a-z 0-9 . _ -",
    );
  }
  const disks = [...config.disks, ...config.scratchDisks];
  needUnique(disks.map((one) => one.serial), "disks.serial");
  for (const { serial } of disks) {
    need(/^[A-Za-z0-9._-]{1,20}$/.test(serial), "disks.serial", serial, "1 to 20 of A-Z a-z 0-9");
  }
  for (const { mac } of config.nics) {
    need(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac), "nics.mac", mac, "a unicast address");
  }
  for (const parameter of config.kernelParameters ?? []) {
    need(
      /^[\x21-\x7e]{1,256}$/.test(parameter),
      "kernelParameters",
      parameter,
      "printable, without a space",
    );
  }
}

/** Whether there is a slot left for what a machine can do without. */
export function hasSlotLeft({ filesystems, disks, nics }: DeviceCounts): boolean {
  return 2 + filesystems + disks + nics < VIRTIO_SLOTS_MAX;
}

/** How many devices of each kind a machine has, besides its vsock and its root disk. */
export interface DeviceCounts {
  readonly filesystems: number;
  readonly disks: number;
  readonly nics: number;
}

/**
 * The one place where the budget of virtio devices is kept.
 * @throws VmError `config` when the machine needs more than it has slots.
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

function need(right: boolean, field: string, value: unknown, what: string): void {
  if (!right) {
    throw new VmError("config", `${field} ${JSON.stringify(value)} must be ${what}`);
  }
}

function needInteger(value: number, min: number, max: number, field: string): void {
  need(
    Number.isInteger(value) && value >= min && value <= max,
    field,
    value,
    `a whole number from ${min} to ${max}`,
  );
}

function needUnique(values: readonly string[], field: string): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw new VmError("config", `${field} "${twice}" is there twice`);
}
