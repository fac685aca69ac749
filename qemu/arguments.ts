import { type DiskConfig, type SocketSource, validateVmConfig, type VmConfig } from "./config.ts";
import { kernelCommandLine } from "./kernel_command_line.ts";

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
export function qemuArguments(config: VmConfig): string[] {
  validateVmConfig(config);
  return [
    ...["-name", `guest=${escape(config.name)},debug-threads=on`],
    ...machine(config),
    ...boot(config),
    ...bareDefaults(),
    ...console(),
    ...monitor(config.qmp),
    // The first device, and so /dev/vda, which stage 0 mounts.
    ...rootDisk(config),
    ...vsock(config),
    ...config.filesystems.flatMap(filesystem),
    ...config.disks.flatMap((one, index) => disk(one, `disk${index}`)),
    ...config.scratchDisks.flatMap(scratchDisk),
    ...config.nics.flatMap(nic),
    ...balloon(config),
  ];
}

function machine({ accelerator, memoryMib, vcpusMax }: VmConfig): string[] {
  return [
    "-M",
    // pit, pic and rtc stay on. Without the PIT the kernel finds no timer for its IO-APIC and
    // panics; without the PIC it gives up the APIC timer ("disabled due to verification failure");
    // without the RTC it waits a second for one (all observed under TCG, kernel 7.2).
    `microvm,accel=${accelerator},acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,memory-backend=mem`,
    "-object",
    // Shared, because the vhost-user helpers map the guest's memory too.
    `memory-backend-memfd,id=mem,size=${memoryMib}M,share=on`,
    ...["-m", `${memoryMib}M`],
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

function boot(config: VmConfig): string[] {
  return [
    // With the default SeaBIOS the kernel does not always start.
    ...["-bios", config.firmwarePath],
    ...["-kernel", config.kernelPath],
    ...["-initrd", config.initrdPath],
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

function monitor(socket: SocketSource): string[] {
  const role = "path" in socket ? ",server=on,wait=off" : "";
  return ["-chardev", `socket,id=qmp,${source(socket)}${role}`, "-qmp", "chardev:qmp"];
}

function vsock({ vsock }: VmConfig): string[] {
  if (vsock.transport === "kernel") {
    const fd = vsock.vhostFd === undefined ? "" : `,vhostfd=${vsock.vhostFd}`;
    return ["-device", `vhost-vsock-device,guest-cid=${vsock.cid}${fd}`];
  }
  return [
    ...["-chardev", `socket,id=vsock,${source(vsock.socket)}`],
    // The helper reports the context id.
    ...["-device", "vhost-user-vsock-device,chardev=vsock"],
  ];
}

function filesystem({ tag, socket }: VmConfig["filesystems"][number], index: number): string[] {
  const id = `fs${index}`;
  return [
    ...["-chardev", `socket,id=${id},${source(socket)}`],
    ...["-device", `vhost-user-fs-device,chardev=${id},tag=${escape(tag)}`],
  ];
}

function rootDisk({ rootPath }: VmConfig): string[] {
  return disk({ serial: "root", path: rootPath, format: "raw", readonly: true }, "root");
}

/**
 * The guest reads ahead twice a disk's optimal transfer size; if the disk names none, Linux 7.2
 * reads 8 MiB ahead. Programs are read at scattered offsets, so the guest would read, and cache,
 * the whole image.
 */
function disk(config: DiskConfig, id: string): string[] {
  return [
    "-blockdev",
    // JSON, because a file name may contain anything.
    JSON.stringify({
      "driver": config.format,
      "node-name": id,
      "read-only": config.readonly,
      "file": { "driver": "file", "filename": config.path, "read-only": config.readonly },
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
  { serial, fd, outlives = false }: VmConfig["scratchDisks"][number],
  index: number,
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
      // The file may have no name: opening this path opens the file behind the descriptor.
      "file": {
        "driver": "file",
        "filename": `/proc/self/fd/${fd}`,
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

function nic({ mac, tapFd, vhostFd }: VmConfig["nics"][number], index: number): string[] {
  const id = `nic${index}`;
  const vhost = vhostFd === undefined ? "" : `,vhost=on,vhostfd=${vhostFd}`;
  return [
    ...["-netdev", `tap,id=${id},fd=${tapFd}${vhost}`],
    ...["-device", `virtio-net-device,netdev=${id},mac=${mac}`],
  ];
}

/**
 * Memory that the guest reports as free is freed on the host (2 MiB at a time). Memory in the
 * balloon still counts as the guest's, which takes it back before it OOM-kills a process.
 */
function balloon({ balloon }: VmConfig): string[] {
  if (balloon === null) return [];
  const options = [
    "virtio-balloon-device",
    ...(balloon.returnsFree ? ["free-page-reporting=on"] : []),
    ...(balloon.holdsBack ? ["deflate-on-oom=on"] : []),
  ];
  return ["-device", options.join(",")];
}

function source(socket: SocketSource): string {
  return "path" in socket ? `path=${escape(socket.path)}` : `fd=${socket.fd}`;
}

/** QEMU's option syntax: a comma in a value is doubled. */
function escape(value: string): string {
  return value.replaceAll(",", ",,");
}
