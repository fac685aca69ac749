import type { DiskConfig, Share, VmConfig } from "./config.ts";
import { balloonOf } from "./devices.ts";
import { kernelCommandLine } from "./kernel_command_line.ts";
import { validateVmConfig } from "./validate_config.ts";

/** Linux's default read-ahead for a disk that names its optimal transfer size. */
const READ_AHEAD_BYTES = 128 * 1024;
/** Granularity of holes in files of host file systems. */
const PAGE_BYTES = 4096;

/**
 * Returns QEMU's arguments, without argv[0]. Pure; qemu(1) explains them.
 *
 * The guest's console is QEMU's standard output; QEMU's own messages go to standard error.
 *
 * @throws VmError `config` for an invalid configuration.
 */
export function qemuArguments(config: VmConfig, handles: QemuHandles): string[] {
  validateVmConfig(config, handles.cid);
  return [
    ...["-name", `guest=${escape(config.name)},debug-threads=on`],
    ...descriptorSets(handles),
    ...machine(config, handles),
    ...boot(config, handles),
    ...bareDefaults(),
    ...console(),
    ...monitor(handles.qmp),
    // The first device, and so /dev/vda, which stage 0 mounts.
    ...rootDisk(config, handles),
    ...vsock(handles),
    ...config.shares.flatMap((share, index) => filesystem(share, index, handles)),
    ...config.disks.flatMap((one, index) =>
      disk(one, `disk${index}`, handles.files?.disks[index]?.image)
    ),
    ...config.scratchDisks.flatMap((disk, index) => scratchDisk(disk, index, handles)),
    ...config.nics.flatMap(({ mac }, index) => nic(mac, index, handles)),
    ...balloon(config),
  ];
}

/** What QEMU inherits: descriptors, by their numbers in its process. */
export interface QemuHandles {
  /** The leased vsock context id. */
  readonly cid: number;
  /** Socket for QMP, in which QEMU is the server: connected, or a path to listen on. */
  readonly qmp: number | { readonly path: string };
  /** The socket of vhost-device-vsock; null with the kernel's vsock. */
  readonly vsock: number | null;
  /** The sockets of virtiofsd, one per share, in their order. */
  readonly filesystems: readonly number[];
  /** One per scratch disk, in their order. */
  readonly scratchDisks: readonly number[];
  /** One per NIC, in their order. */
  readonly nics: readonly { readonly tap: number; readonly vhost?: number }[];
  /** /dev/kvm and /dev/vhost-vsock; absent: QEMU opens them, if it needs them. */
  readonly kvm?: number;
  readonly vhostVsock?: number;
  /** Files of the configuration; absent: QEMU opens them by their paths. */
  readonly files?: FileHandles;
}

/** Descriptors of a VM's files. */
export interface FileHandles {
  readonly firmware: number;
  readonly kernel: number;
  readonly initrd: number;
  readonly root: number;
  /** One per disk, in their order. */
  readonly disks: readonly { readonly image: number; readonly extents: readonly number[] }[];
}

/**
 * The path by which the descriptor file of the only VMDK disk names its extent number `index`: a
 * set of descriptors, see `-add-fd` in qemu(1).
 */
export function extentPath(index: number): string {
  return setPath(EXTENT_SET + index);
}

/** Above all descriptor numbers: the set of any other descriptor has its number. */
const EXTENT_SET = 2000;

function setPath(set: number): string {
  return `/dev/fdset/${set}`;
}

/** QEMU opens files and devices out of these sets, as often as it wants to. */
function descriptorSets({ kvm, files, scratchDisks }: QemuHandles): string[] {
  const disks = files?.disks ?? [];
  const own = [
    ...(kvm === undefined ? [] : [kvm]),
    ...(files === undefined ? [] : [files.root]),
    ...disks.map(({ image }) => image),
    ...scratchDisks,
  ];
  const extents = disks.flatMap((disk) => disk.extents);
  return [
    ...own.flatMap((fd) => ["-add-fd", `fd=${fd},set=${fd}`]),
    ...extents.flatMap((fd, index) => ["-add-fd", `fd=${fd},set=${EXTENT_SET + index}`]),
  ];
}

function machine(
  { accelerator, size: { memoryMibMax, vcpusMax } }: VmConfig,
  { kvm }: QemuHandles,
): string[] {
  const device = kvm === undefined ? "" : `,device=${setPath(kvm)}`;
  return [
    ...["-accel", `${accelerator}${device}`],
    "-M",
    // pit, pic and rtc stay on. Without the PIT the kernel finds no timer for its IO-APIC and
    // panics; without the PIC it gives up the APIC timer ("disabled due to verification failure");
    // without the RTC it waits a second for one (all observed under TCG, kernel 7.2).
    `microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,memory-backend=mem`,
    "-object",
    // Shared, because the vhost-user helpers map the guest's memory too.
    `memory-backend-memfd,id=mem,size=${memoryMibMax}M,share=on`,
    ...["-m", `${memoryMibMax}M`],
    ...["-cpu", accelerator === "kvm" ? "host" : TCG_CPU],
    ...["-smp", String(vcpusMax)],
  ];
}

/**
 * TCG runs `rep stosb` and `rep movsb` byte by byte. With the flags that call them fast (ERMS and
 * the like) off, kernel and glibc clear and copy in words or vectors: zeroing a page takes 700
 * instructions instead of 4096, and a boot a third fewer.
 */
const TCG_CPU = "max,erms=off,fsrm=off,fsrs=off,fzrm=off,fsrc=off";

function boot(config: VmConfig, { files }: QemuHandles): string[] {
  // QEMU does not open these out of sets.
  const path = (fd: number | undefined, path: string) =>
    fd === undefined ? path : `/proc/self/fd/${fd}`;
  return [
    // With the default SeaBIOS the kernel does not always start.
    ...["-bios", path(files?.firmware, config.files.firmwarePath)],
    ...["-kernel", path(files?.kernel, config.files.kernelPath)],
    ...["-initrd", path(files?.initrd, config.files.initrdPath)],
    ...["-append", kernelCommandLine(config)],
    // QEMU exits on a reset, which is how the guest powers off and how it ends after a panic.
    "-no-reboot",
  ];
}

function bareDefaults(): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    // seccomp: no new processes, no privilege changes, no priority changes.
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
  ];
}

function console(): string[] {
  return ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"];
}

function monitor(qmp: QemuHandles["qmp"]): string[] {
  const socket = typeof qmp === "number"
    ? `fd=${qmp}`
    : `path=${escape(qmp.path)},server=on,wait=off`;
  return ["-chardev", `socket,id=qmp,${socket}`, "-qmp", "chardev:qmp"];
}

function vsock({ cid, vsock, vhostVsock }: QemuHandles): string[] {
  if (vsock === null) {
    const device = vhostVsock === undefined ? "" : `,vhostfd=${vhostVsock}`;
    return ["-device", `vhost-vsock-device,guest-cid=${cid}${device}`];
  }
  return [
    ...["-chardev", `socket,id=vsock,fd=${vsock}`],
    // The helper reports the context id.
    ...["-device", "vhost-user-vsock-device,chardev=vsock"],
  ];
}

function filesystem({ tag }: Share, index: number, { filesystems }: QemuHandles): string[] {
  const id = `fs${index}`;
  return [
    ...["-chardev", `socket,id=${id},fd=${filesystems[index]}`],
    ...["-device", `vhost-user-fs-device,chardev=${id},tag=${escape(tag)}`],
  ];
}

function rootDisk({ files: { rootPath } }: VmConfig, { files }: QemuHandles): string[] {
  const config = { serial: "root", path: rootPath, format: "raw", readonly: true } as const;
  return disk(config, "root", files?.root);
}

/**
 * The guest reads ahead twice a disk's optimal transfer size; if the disk names none, Linux 7.2
 * reads 8 MiB ahead. Programs are read at scattered offsets, so the guest would read, and cache,
 * the whole image.
 */
function disk(config: DiskConfig, id: string, fd: number | undefined): string[] {
  const filename = fd === undefined ? config.path : setPath(fd);
  return [
    "-blockdev",
    // JSON, because a file name may contain anything.
    JSON.stringify({
      "driver": config.format,
      "node-name": id,
      "read-only": config.readonly,
      "file": { "driver": "file", filename, "read-only": config.readonly },
    }),
    ...["-device", blockDevice(id, config.serial)],
  ];
}

/**
 * A scratch disk is never flushed unless it outlives the VM, because nothing reads it after a
 * host crash. Blocks that the guest discards are freed on the host. If the host's disk is full, the
 * guest gets an I/O error; QEMU's default would stop the guest.
 */
function scratchDisk(
  { serial, outlives = false }: VmConfig["scratchDisks"][number],
  index: number,
  { scratchDisks }: QemuHandles,
): string[] {
  const id = `scratch${index}`;
  const cache = { "no-flush": !outlives };
  return [
    "-blockdev",
    JSON.stringify({
      "driver": "raw",
      "node-name": id,
      "discard": "unmap",
      cache,
      "file": {
        "driver": "file",
        "filename": setPath(scratchDisks[index]!),
        "discard": "unmap",
        cache,
      },
    }),
    ...[
      "-device",
      `${blockDevice(id, serial)},discard_granularity=${PAGE_BYTES},werror=report,rerror=report`,
    ],
  ];
}

function blockDevice(id: string, serial: string): string {
  const optimal = READ_AHEAD_BYTES / 2;
  return `virtio-blk-device,drive=${id},serial=${escape(serial)},opt_io_size=${optimal}`;
}

function nic(mac: string, index: number, { nics }: QemuHandles): string[] {
  const id = `nic${index}`;
  const { tap, vhost } = nics[index]!;
  const accelerated = vhost === undefined ? "" : `,vhost=on,vhostfd=${vhost}`;
  return [
    ...["-netdev", `tap,id=${id},fd=${tap}${accelerated}`],
    ...["-device", `virtio-net-device,netdev=${id},mac=${mac}`],
  ];
}

/**
 * Memory that the guest reports as free is freed on the host (2 MiB at a time). Memory in the
 * balloon still counts as the guest's, which takes it back before it OOM-kills a process.
 */
function balloon(config: VmConfig): string[] {
  const balloon = balloonOf(config);
  if (balloon === null) return [];
  const options = [
    "virtio-balloon-device",
    ...(balloon.returnsFree ? ["free-page-reporting=on"] : []),
    ...(balloon.holdsBack ? ["deflate-on-oom=on"] : []),
  ];
  return ["-device", options.join(",")];
}

/** QEMU's option syntax: a comma in a value is doubled. */
function escape(value: string): string {
  return value.replaceAll(",", ",,");
}
