import { CID_MAX, CID_MIN } from "./limits.ts";
import { VmError } from "./error.ts";
import type { VmFiles } from "./files.ts";

/** A program and its arguments, without argv[0]. */
export interface CommandLine {
  readonly path: string;
  readonly args: readonly string[];
}

/** One virtiofsd, which shares one directory. */
export interface VirtiofsdOptions {
  readonly path: string;
  /** Inherited descriptor of a socket that already listens. */
  readonly fd: number;
  readonly sharedDirectory: string;
  /** Enforced by virtiofsd, not by the guest. */
  readonly readonly: boolean;
  /** Nothing changes in the directory, so the guest may cache everything it has read. */
  readonly isFixed?: boolean;
  /**
   * "namespace" (default) gives virtiofsd an empty network, its own PIDs and the shared directory
   * as its root. "chroot" and "none" are for hosts that forbid that.
   */
  readonly sandbox?: "namespace" | "chroot" | "none";
  /** Whether the guest may make device nodes and set file capabilities; default: no. */
  readonly grantsPrivileges?: boolean;
  /** Hard limit of descriptors of this process, which not every root can raise. */
  readonly descriptorsMax: number;
}

/** open_by_handle_at(2); reads files and searches directories of any user, too. */
const READING = "+dac_read_search";
/** virtiofsd's other capabilities act for the guest's users in what they write. */
const WRITING = "-chown:-dac_override:-fowner:-fsetid:-setgid:-setuid";
/** Device nodes, and files that give away capabilities. */
const PRIVILEGES = "-mknod:-setfcap";
/**
 * Enough for the files that are open. Only on file systems without handles is there one for each
 * file that the guest knows of.
 */
const VIRTIOFSD_DESCRIPTORS_MAX = 262_144;

/** Changes to virtiofsd's own set: chown, dac_override, fowner, fsetid, set*id, mknod, setfcap. */
function capabilities({ readonly, grantsPrivileges = false }: VirtiofsdOptions): string {
  if (readonly) return [READING, WRITING, PRIVILEGES].join(":");
  // CAP_FSETID would keep these bits of a file that is written to.
  return grantsPrivileges ? READING : [READING, "-fsetid", PRIVILEGES].join(":");
}

/** Returns virtiofsd's command line. Pure. */
export function virtiofsdCommand(options: VirtiofsdOptions): CommandLine {
  return {
    path: options.path,
    args: [
      `--fd=${options.fd}`,
      `--shared-dir=${options.sharedDirectory}`,
      `--sandbox=${options.sandbox ?? "namespace"}`,
      // Without handles, virtiofsd holds a descriptor of each file that the guest knows of, and a
      // walk over a large directory fails with ENFILE. On file systems without handles it still
      // does.
      "--inode-file-handles=prefer",
      `--modcaps=${capabilities(options)}`,
      `--rlimit-nofile=${Math.min(VIRTIOFSD_DESCRIPTORS_MAX, options.descriptorsMax)}`,
      // What the host may change is revalidated: names and attributes after a second, content each
      // time that a file is opened.
      `--cache=${options.isFixed ? "always" : "auto"}`,
      // File capabilities (ping, sudo) are xattrs.
      "--xattr",
      "--announce-submounts",
      "--log-level=warn",
      ...(options.readonly ? ["--readonly"] : []),
    ],
  };
}

/** Returns the hard limit of descriptors of this process: proc_pid_limits(5). */
export function descriptorsMax(
  limits: string = Deno.readTextFileSync("/proc/self/limits"),
): number {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? Infinity : Number(hard);
}

/** One vhost-device-vsock, which serves one VM. */
export interface VhostDeviceVsockOptions {
  readonly path: string;
  readonly cid: number;
  /**
   * Socket that QEMU connects to. Like `dialSocket`, it may be relative to the working directory.
   */
  readonly vhostSocket: string;
  /** Socket through which the host dials the guest. */
  readonly dialSocket: string;
}

/**
 * Bytes of a connection that a guest may send before the host reads them: as many as the kernel's
 * vhost-vsock allows. vhost-device-vsock's default, 64 KiB, makes a guest wait after every two
 * packets. The buffer's memory is touched only as it is used.
 */
const VSOCK_BUFFER_BYTES = 262_144;

/**
 * Returns vhost-device-vsock's command line. Pure.
 *
 * @throws VmError `config` for a path with a comma, which its option syntax cannot express.
 */
export function vhostDeviceVsockCommand(options: VhostDeviceVsockOptions): CommandLine {
  for (const path of [options.vhostSocket, options.dialSocket]) {
    if (path.includes(",")) {
      throw new VmError("config", `socket path ${path} must not contain a comma`);
    }
  }
  if (!Number.isInteger(options.cid) || options.cid < CID_MIN || options.cid > CID_MAX) {
    throw new VmError("config", `vsock context id ${options.cid} is out of range`);
  }
  const { cid, vhostSocket, dialSocket } = options;
  return {
    path: options.path,
    args: [
      "--vm",
      `guest-cid=${cid},socket=${vhostSocket},uds-path=${dialSocket},tx-buffer-size=${VSOCK_BUFFER_BYTES}`,
    ],
  };
}

/** Who a program runs as, and what it may use of the host. It has no capability. */
export interface Confinement {
  /** User id and group id; it is in no other group. */
  readonly id: number;
  /** Size to which it may make files grow, in bytes. */
  readonly fileBytesMax: number;
}

/**
 * Checks that QEMU and its helpers can have as many descriptors as they may need.
 *
 * @param max hard limit of this process, which they inherit.
 * @throws VmError `host` with the fix.
 */
export function requireDescriptors(max: number = descriptorsMax()): void {
  if (max >= DESCRIPTORS_MAX) return;
  const why = `limit of open files is ${max}, a VM needs ${DESCRIPTORS_MAX}`;
  throw new VmError("host", `${why}: raise containerd's (LimitNOFILE of its service)`);
}

/** Programs of util-linux that prepare a process and become it by an exec. */
export type SpawnTools = Pick<VmFiles, "setprivPath" | "prlimitPath">;

/** Most descriptors: the layers of an image, twice while QEMU starts, and devices. */
const DESCRIPTORS_MAX = 1024;
/** Threads of a user id: vCPUs, QEMU's 64 for the I/O of its disks, and vhost workers. */
const THREADS_MAX = 512;

/**
 * Makes a program die with the process that spawns it. Pure. posix_spawn(3) cannot do that, QEMU's
 * own `-run-with exit-with-parent` is too new for many hosts, and the helpers have no such option.
 * So all three get it from setpriv(1), at the cost of one exec. Limits of a confined program cost
 * another one: only the process itself may always lower them.
 */
export function dyingWithParent(
  command: CommandLine,
  { setprivPath, prlimitPath }: SpawnTools,
  { confinement, setprivOptions = [] }: SpawnLimits = {},
): CommandLine {
  const dying = ["--pdeathsig", "KILL", ...setprivOptions, "--", command.path, ...command.args];
  if (confinement === undefined) return { path: setprivPath, args: dying };
  const { id, fileBytesMax } = confinement;
  return {
    path: prlimitPath,
    args: [
      ...["--core=0", `--nofile=${DESCRIPTORS_MAX}`, `--nproc=${THREADS_MAX}`],
      ...[`--fsize=${fileBytesMax}`, "--", setprivPath],
      ...[`--reuid=${id}`, `--regid=${id}`, "--clear-groups"],
      ...["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"],
      ...dying,
    ],
  };
}

/** What a spawned program may not do. */
export interface SpawnLimits {
  /** Absent: the program keeps every privilege. */
  readonly confinement?: Confinement | undefined;
  /** Further options of setpriv. */
  readonly setprivOptions?: readonly string[] | undefined;
}
