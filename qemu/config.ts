import { VmError } from "./error.ts";

/** How QEMU runs the guest's code: by the CPU (KVM) or by translation (TCG). */
export type Accelerator = "kvm" | "tcg";

/** A socket of QEMU: a path, or the number of a connected descriptor that it inherits. */
export type SocketSource = { readonly path: string } | { readonly fd: number };

/** The vsock device: the kernel's, or that of vhost-device-vsock. */
export type VsockConfig =
  | {
    readonly transport: "kernel";
    readonly cid: number;
    /** Inherited descriptor of /dev/vhost-vsock; without it QEMU opens the device itself. */
    readonly vhostFd?: number;
  }
  | {
    readonly transport: "vhost-user";
    readonly cid: number;
    /** The vhost-user socket of vhost-device-vsock. */
    readonly socket: SocketSource;
  };

/** A directory of the host, served by a virtiofsd. */
export interface FilesystemConfig {
  /** Name by which the guest mounts it: 1 to 35 bytes. */
  readonly tag: string;
  readonly socket: SocketSource;
}

/** A disk from a file of the host. */
export interface DiskConfig {
  /** Name of the disk in the guest (/sys/block/vdX/serial): 1 to 20 bytes. */
  readonly serial: string;
  readonly path: string;
  /** "vmdk" joins several files into one disk by means of a descriptor file. */
  readonly format: "raw" | "vmdk";
  readonly readonly: boolean;
}

/** A disk of this VM alone, whose content goes with the VM unless it `outlives` it. */
export interface ScratchDiskConfig {
  /** Name of the disk in the guest: 1 to 20 bytes. */
  readonly serial: string;
  /** Inherited descriptor of a file that is open for reading and writing. */
  readonly fd: number;
  /** Whether flushes of the guest reach the file; default: no, as nothing reads it later. */
  readonly outlives?: boolean;
}

/** A network interface on a tap. */
export interface NicConfig {
  /** "52:54:00:…": the guest's interface must have the address that the network expects. */
  readonly mac: string;
  /** Inherited descriptor of a tap with VNET_HDR. */
  readonly tapFd: number;
  /** Inherited descriptor of /dev/vhost-net. */
  readonly vhostFd?: number;
}

/** The device through which a guest returns memory to the host. */
export interface BalloonConfig {
  /** Whether the guest reports free memory, which then returns to the host. */
  readonly returnsFree: boolean;
  /** Whether it holds back part of the memory, which the guest takes back when it runs out. */
  readonly holdsBack: boolean;
}

/** A VM as plain data. Descriptors are numbers in the QEMU process. */
export interface VmConfig {
  /** Shown in `ps`; a stray process is found by it. */
  readonly name: string;
  readonly qemuPath: string;
  /** qboot.rom. */
  readonly firmwarePath: string;
  /** An uncompressed vmlinux with a PVH note. */
  readonly kernelPath: string;
  /** The EROFS image that is the root file system of every guest. */
  readonly rootPath: string;
  /** Stage 0, which the kernel starts and which mounts the root file system. */
  readonly initrdPath: string;
  readonly accelerator: Accelerator;
  /** The host's TSC frequency, which the guest uses under TCG instead of measuring it. */
  readonly tscKhz?: number;
  /** All memory that the guest may ever use. */
  readonly memoryMib: number;
  /** vCPUs that are online after the boot. */
  readonly vcpus: number;
  /** vCPUs that the VM has. */
  readonly vcpusMax: number;
  readonly vsock: VsockConfig;
  readonly filesystems: readonly FilesystemConfig[];
  readonly disks: readonly DiskConfig[];
  readonly scratchDisks: readonly ScratchDiskConfig[];
  readonly nics: readonly NicConfig[];
  /** null for none. */
  readonly balloon: BalloonConfig | null;
  /** Socket for QMP, in which QEMU is the server. */
  readonly qmp: SocketSource;
  /** Appended to the kernel command line. Must not differ between containers. */
  readonly kernelParameters?: readonly string[];
}

/** virtio-mmio devices of a microvm with acpi=off (hw/i386/microvm.c: 8 of its IRQs are free). */
export const VIRTIO_SLOTS_MAX = 8;
/** CONFIG_NR_CPUS of our kernel. */
export const VCPUS_MAX = 64;
/** With less, the kernel with vminitd does not boot. */
export const MEMORY_MIB_MIN = 128;
/** More than any host has; a sanity bound. */
const MEMORY_MIB_MAX = 16 * 1024 * 1024;
/** 0, 1 and 2 are reserved: hypervisor, local, host (vsock(7)). */
export const CID_MIN = 3;
/** 0xffffffff is VMADDR_CID_ANY. */
export const CID_MAX = 0xffff_fffe;

/**
 * Checks a configuration as a whole.
 *
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
      "printable characters without spaces",
    );
  }
}

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
  if (twice !== undefined) throw new VmError("config", `${field} "${twice}" is used twice`);
}
