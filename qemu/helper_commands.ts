import { CID_MAX, CID_MIN } from "./config.ts";
import { VmError } from "./error.ts";

/** A program and its arguments, without argv[0]. */
export interface CommandLine {
  readonly path: string;
  readonly args: readonly string[];
}

export interface VirtiofsdOptions {
  readonly path: string;
  /** The inherited descriptor of a socket that listens already. */
  readonly fd: number;
  readonly sharedDirectory: string;
  /** Enforced by virtiofsd, whatever the guest does. */
  readonly readonly: boolean;
  /** Nobody changes anything in the folder: the guest may keep all that it has read. */
  readonly isFixed?: boolean;
  /**
   * "namespace" (default) gives it an empty network, its own pids and the shared folder as its
   * root. "chroot" and "none" are for hosts that forbid the former.
   */
  readonly sandbox?: "namespace" | "chroot" | "none";
}

/** virtiofsd's command line. Pure. */
export function virtiofsdCommand(options: VirtiofsdOptions): CommandLine {
  return {
    path: options.path,
    args: [
      `--fd=${options.fd}`,
      `--shared-dir=${options.sharedDirectory}`,
      `--sandbox=${options.sandbox ?? "namespace"}`,
      // Otherwise it holds a descriptor of each file that the guest knows of, and a walk over a big
      // folder ends with ENFILE. Where a file system has no handles it still does.
      "--inode-file-handles=prefer",
      // open_by_handle_at(2).
      "--modcaps=+dac_read_search",
      // What the host may change is asked for again: names and attributes after a second, content each
      // time that a file is opened.
      `--cache=${options.isFixed ? "always" : "auto"}`,
      // File capabilities (ping, sudo) are in xattrs.
      "--xattr",
      "--announce-submounts",
      "--log-level=warn",
      ...(options.readonly ? ["--readonly"] : []),
    ],
  };
}

export interface VhostDeviceVsockOptions {
  readonly path: string;
  readonly cid: number;
  /** Where QEMU connects. It and `dialSocket` may be relative to the working directory. */
  readonly vhostSocket: string;
  /** Where the host dials the guest. */
  readonly dialSocket: string;
}

/**
 * What of a connection a guest may send before the host has taken it: as much as the kernel's vhost-vsock
 * lets it. Its own default, 64 KiB, makes a guest wait for each two packets. Touched as it is used.
 */
const VSOCK_BUFFER_BYTES = 262_144;

/**
 * vhost-device-vsock's command line. Pure.
 * @throws VmError `config` for a path with a comma, which its option syntax cannot express.
 */
export function vhostDeviceVsockCommand(options: VhostDeviceVsockOptions): CommandLine {
  for (const path of [options.vhostSocket, options.dialSocket]) {
    if (path.includes(",")) throw new VmError("config", `socket path ${path} has a comma`);
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

/**
 * Makes a program die with the process that spawns it. posix_spawn(3) cannot, QEMU's own
 * `-run-with exit-with-parent` is too new for many hosts and the helpers have nothing like it, so
 * all three get it from setpriv(1), which costs an exec.
 */
export function dyingWithParent(command: CommandLine, setprivPath: string): CommandLine {
  return {
    path: setprivPath,
    args: ["--pdeathsig", "KILL", "--", command.path, ...command.args],
  };
}
