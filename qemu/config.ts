import type { Fd } from "../ffi/mod.ts";
import type { VmFiles } from "./files.ts";
import type { VmSize } from "./sizing.ts";

/** How QEMU runs the guest's code. */
export type Accelerator = "kvm" | "tcg";

/** What is decided of a VM before anything is acquired for it. */
export interface VmPlan {
  readonly files: VmFiles;
  readonly accelerator: Accelerator;
  /** The TSC frequency that a guest under TCG is told; null: it measures by itself. */
  readonly tscKhz: number | null;
  /** Memory and vCPUs at first, and what the guest may grow to. */
  readonly size: VmSize;
  /** Whether memory that is free in the guest returns to the host. */
  readonly returnsMemory: boolean;
  readonly transport: "kernel" | "vhost-user";
  /** Whether the guest may make device nodes, setuid and setgid files in volumes; default: no. */
  readonly grantsPrivileges?: boolean;
}

/** A VM as `bootVm` boots it: its plan, and what was acquired for it. */
export interface VmConfig extends VmPlan {
  /** Namespace and container, which the processes have in their arguments and environment. */
  readonly name: string;
  /** Directory for this VM alone, which the caller owns; sockets are made in it and removed. */
  readonly runDirectory: string;
  readonly shares: readonly Share[];
  readonly disks: readonly DiskConfig[];
  readonly scratchDisks: readonly ScratchDisk[];
  readonly nics: readonly NicPlan[];
  /** Appended to the kernel command line. Must not differ between containers. */
  readonly kernelParameters?: readonly string[];
  /** Line that the guest prints on the console once it listens. */
  readonly readyMarker: string;
  /** Default: 30 s under KVM, 120 s under TCG (boot.ts). */
  readonly bootTimeoutMs?: number;
}

/** A directory of the host that the guest sees, through a virtiofsd. */
export interface Share {
  /** The name by which the guest mounts it, 1 to 35 bytes. */
  readonly tag: string;
  readonly directory: string;
  readonly readonly: boolean;
  /** Nothing in it changes while the VM runs. */
  readonly isFixed?: boolean;
  readonly sandbox?: "namespace" | "chroot" | "none";
  /** Whether the guest may make device nodes, setuid and setgid files in it; default: no. */
  readonly grantsPrivileges?: boolean;
}

/** A disk image that several VMs may have. */
export interface DiskConfig {
  /** The name by which the guest finds the disk (/sys/block/vdX/serial), 1 to 20 bytes. */
  readonly serial: string;
  readonly path: string;
  /** "vmdk" joins several files to one disk through a descriptor file. */
  readonly format: "raw" | "vmdk";
  readonly readonly: boolean;
  /** Files that a VMDK descriptor joins, which it names by `extentPath`. */
  readonly extents?: readonly string[];
}

/** A file that the VM has as a disk of its own; the caller keeps the descriptor. */
export interface ScratchDisk {
  /** As of DiskConfig. */
  readonly serial: string;
  /** Open for reading and writing. */
  readonly file: Fd;
  /** Whether it is read after the VM has ended, so that flushes must reach it; default: no. */
  readonly outlives?: boolean;
}

/** A network interface on a tap with VNET_HDR. */
export interface NicPlan {
  /** "52:54:00:…"; the guest's interface must have the address that the network expects. */
  readonly mac: string;
  /** The tap, and /dev/vhost-net where it is used; the caller keeps both descriptors. */
  readonly tap: Fd;
  readonly vhost?: Fd;
}
