import { type Fd, O, type System } from "../ffi/mod.ts";
import type { QemuHandles } from "./arguments.ts";
import type { DiskConfig, VmConfig } from "./config.ts";
import { FdTable } from "./fd_table.ts";

/** Descriptors that QEMU inherits, and their numbers as its arguments name them. */
export interface QemuDescriptors {
  readonly fds: Readonly<Record<number, Fd>>;
  readonly handles: QemuHandles;
}

/** What QEMU gets besides the files and devices of its configuration. */
export interface QemuSockets {
  readonly cid: { readonly cid: number; readonly fd: Fd };
  /** Standard input, if it has one, and output: the guest's console. */
  readonly console: Readonly<Record<number, Fd>>;
  readonly qmp: Fd;
  /** null with the kernel's vsock. */
  readonly vsock: Fd | null;
  readonly filesystems: readonly Fd[];
  /** The lock of the user id that it is confined to; null: it opens devices by path. */
  readonly user: Fd | null;
}

const OTHERS_READ = 0o004;
const COPY_BYTES = 1024 * 1024;

/**
 * Opens everything that QEMU needs, so that it opens nothing by path: it may run as a user who may
 * open none of it.
 *
 * @param own takes over each descriptor that is opened here; the caller closes it when QEMU has
 * inherited it.
 * @throws SystemError naming the file.
 */
export function openForQemu(
  config: VmConfig,
  sockets: QemuSockets,
  system: System,
  own: (fd: Fd) => Fd,
): QemuDescriptors {
  const table = new FdTable(sockets.console, 3);
  const open = (path: string, flags: number = O.RDONLY) => table.add(own(system.open(path, flags)));
  const readable = (path: string) => table.add(own(openForAll(path, system)));
  const isConfined = sockets.user !== null;
  const { files, accelerator, transport } = config;
  const handles: QemuHandles = {
    cid: sockets.cid.cid,
    qmp: table.add(sockets.qmp),
    vsock: sockets.vsock === null ? null : table.add(sockets.vsock),
    filesystems: sockets.filesystems.map((fd) => table.add(fd)),
    scratchDisks: config.scratchDisks.map(({ file }) => table.add(file)),
    nics: config.nics.map(({ tap, vhost }) => ({
      tap: table.add(tap),
      ...(vhost === undefined ? {} : { vhost: table.add(vhost) }),
    })),
    ...(isConfined && accelerator === "kvm" ? { kvm: open("/dev/kvm", O.RDWR) } : {}),
    ...(isConfined && transport === "kernel"
      ? { vhostVsock: open("/dev/vhost-vsock", O.RDWR) }
      : {}),
    files: {
      firmware: readable(files.firmwarePath),
      kernel: readable(files.kernelPath),
      initrd: readable(files.initrdPath),
      root: open(files.rootPath),
      disks: config.disks.map(({ path, readonly, extents = [] }: DiskConfig) => ({
        image: open(path, readonly ? O.RDONLY : O.RDWR),
        extents: extents.map((extent) => open(extent)),
      })),
    },
  };
  // QEMU keeps the ids taken while it lives.
  table.add(sockets.cid.fd);
  if (sockets.user !== null) table.add(sockets.user);
  return { fds: table.fds, handles };
}

/**
 * Opens a file that QEMU opens again through /proc/self/fd, which asks for the permission to read
 * it. One that only its owner may read is copied into memory.
 */
function openForAll(path: string, system: System): Fd {
  const file = system.open(path, O.RDONLY);
  if (((Deno.statSync(path).mode ?? 0) & OTHERS_READ) !== 0) return file;
  try {
    return copyToMemory(file, system);
  } finally {
    system.close(file);
  }
}

function copyToMemory(file: Fd, system: System): Fd {
  const copy = system.memfd("qemubox");
  try {
    const chunk = new Uint8Array(COPY_BYTES);
    for (let count; (count = system.read(file, chunk)) !== 0;) {
      for (let at = 0; at < count!;) at += system.write(copy, chunk.subarray(at, count!))!;
    }
    return copy;
  } catch (error) {
    system.close(copy);
    throw error;
  }
}
