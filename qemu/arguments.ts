import { type DiskConfig, type SocketSource, validateVmConfig, type VmConfig } from "./config.ts";
import { kernelCommandLine } from "./kernel_command_line.ts";

/** What Linux reads ahead of a disk by default, when the disk says how it is best read. */
const READ_AHEAD_BYTES = 128 * 1024;
/** What file systems of hosts have holes of. */
const PAGE_BYTES = 4096;

/**
 * QEMU's arguments, without argv[0]. Pure; qemu(1) explains them.
 *
 * The guest's console is QEMU's standard output; what QEMU itself has to say goes to standard error.
 * @throws VmError `config` for a configuration that is not valid.
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
    // First of all devices, and so /dev/vda, which stage 0 mounts.
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
    // pit, pic and rtc stay: without the PIT the kernel finds no timer for its IO-APIC and panics,
    // without the PIC it gives up the APIC timer ("disabled due to verification failure"), and
    // without the RTC it waits a second for one (all tried under TCG, kernel 7.2).
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
 * TCG runs `rep stosb` and `rep movsb` byte by byte. Told that they are not fast (ERMS and the like),
 * kernel and glibc clear and copy in words or vectors: zeroing a page takes 700 instructions instead
 * of 4096, and a boot a third less of them.
 */
const TCG_CPU = "max,erms=off,fsrm=off,fsrs=off,fzrm=off,fsrc=off";

function boot(config: VmConfig): string[] {
  return [
    // With the default SeaBIOS the kernel does not always start.
    ...["-bios", config.firmwarePath],
    ...["-kernel", config.kernelPath],
    ...["-initrd", config.initrdPath],
    ...["-append", kernelCommandLine(config)],
    // A reset ends QEMU: it is how the guest powers off, and how a panic ends it.
    "-no-reboot",
  ];
}

function bareDefaults(): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    // seccomp: no new processes, no privileges, no priorities of its own.
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
    // The context id is the helper's to tell.
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
 * The guest reads ahead twice the optimal size of a transfer; where a disk names none, Linux 7.2 reads
 * 8 MiB ahead. Programs are read here and there: the guest would read, and keep, the whole image.
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
 * Nobody reads it after a crash of the host: it is never flushed, unless it outlives the machine. What
 * the guest discards is no longer there on the host. When the host's disk is full the guest gets an
 * error, where QEMU would stop it.
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
      // The file may have no name. What is opened here is what the descriptor is of.
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
 * What a guest reports as free is no longer there on the host (2 MiB at a time). What the balloon holds
 * back counts as the guest's all the same, which takes of it sooner than it kills for want of memory.
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
