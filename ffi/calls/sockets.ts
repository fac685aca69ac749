import { VMADDR } from "../constants.ts";
import { AF_UNIX, AF_VSOCK, encodeSockaddrUn, encodeSockaddrVm } from "../layouts.ts";
import { fields, SOCKADDR_VM, structure, UCRED } from "../layouts.ts";
import { checked, checkedNow } from "../libc/errno.ts";
import { ioctls } from "../libc/ioctl.ts";
import { sockets as libc } from "../libc/sockets.ts";
import { cString } from "../libc/strings.ts";
import type { Fd, Pid, System } from "../system.ts";
import { isSystemError, SystemError } from "../system_error.ts";
import { descriptorCalls, descriptorPair } from "./descriptors.ts";
import { receiveFds, sendFds } from "./ancillary.ts";

const SOCK_STREAM = 1, SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000;
const STREAM = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
const SOL_SOCKET = 1, SO_ERROR = 4, SO_PEERCRED = 17;
const SHUTDOWN = { read: 0, write: 1, both: 2 } as const;
const BACKLOG_DEFAULT = 128;
/** IOCTL_VM_SOCKETS_GET_LOCAL_CID, linux/vm_sockets.h: _IO(7, 0xb9) */
const GET_LOCAL_CID = 0x7b9n;

/** Socket calls of {@link System}. */
export const socketCalls = {
  listenUnix(path, { backlog = BACKLOG_DEFAULT, mode } = {}) {
    const address = unixAddress("bind", path);
    return owned(newSocket(AF_UNIX), (fd) => {
      checked("bind", () => libc().bind(fd, address, address.length), path);
      try {
        const name = cString(path);
        // Before listen(2), so that nobody can connect to a file with another mode.
        if (mode !== undefined) checked("chmod", () => libc().chmod(name, mode), path);
        checked("listen", () => libc().listen(fd, backlog), path);
      } catch (error) {
        Deno.removeSync(path);
        throw error;
      }
    });
  },
  connectUnix(path) {
    const address = unixAddress("connect", path);
    return owned(newSocket(AF_UNIX), (fd) => {
      checked("connect", () => libc().connect(fd, address, address.length), path);
    });
  },
  listenVsock(port, { cid = VMADDR.CID_ANY, backlog = BACKLOG_DEFAULT } = {}) {
    const address = encodeSockaddrVm(cid, port);
    const about = `vsock:${cid}:${port}`;
    return owned(newSocket(AF_VSOCK), (fd) => {
      checked("bind", () => libc().bind(fd, address, address.length), about);
      checked("listen", () => libc().listen(fd, backlog), about);
    });
  },
  startConnectVsock(cid, port) {
    const address = encodeSockaddrVm(cid, port);
    return owned(newSocket(AF_VSOCK), (fd) => {
      try {
        const about = `vsock:${cid}:${port}`;
        checked("connect", () => libc().connect(fd, address, address.length), about);
      } catch (error) {
        if (!isSystemError(error, "EINPROGRESS")) throw error;
      }
    });
  },
  socketError(fd) {
    const errno = fields(socketOption(fd, SO_ERROR, 4)).getInt32(0, true);
    return errno === 0 ? null : new SystemError("connect", errno);
  },
  accept(fd) {
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    return checkedNow("accept4", () => libc().accept4(fd, null, null, flags)) as Fd | null;
  },
  socketPair() {
    const ends = structure(8);
    checked("socketpair", () => libc().socketpair(AF_UNIX, STREAM, 0, ends));
    return descriptorPair(ends);
  },
  shutdown(fd, how) {
    checked("shutdown", () => libc().shutdown(fd, SHUTDOWN[how]));
  },
  sendFds,
  receiveFds,
  peerCredentials(fd) {
    const view = fields(socketOption(fd, SO_PEERCRED, UCRED.size));
    return {
      pid: view.getInt32(UCRED.pid, true) as Pid,
      uid: view.getUint32(UCRED.uid, true),
      gid: view.getUint32(UCRED.gid, true),
    };
  },
  vsockPeer(fd) {
    const address = structure(SOCKADDR_VM.size);
    const length = structure(4);
    fields(length).setUint32(0, address.length, true);
    checked("getpeername", () => libc().getpeername(fd, address, length));
    const view = fields(address);
    if (view.getUint16(SOCKADDR_VM.svm_family, true) !== AF_VSOCK) {
      throw new SystemError("getpeername", "EAFNOSUPPORT");
    }
    return {
      cid: view.getUint32(SOCKADDR_VM.svm_cid, true),
      port: view.getUint32(SOCKADDR_VM.svm_port, true),
    };
  },
  vsockCid() {
    const device = descriptorCalls.open("/dev/vsock", 0);
    try {
      const cid = structure(4);
      checked("ioctl", () => ioctls().ioctl(device, GET_LOCAL_CID, cid), "/dev/vsock");
      return fields(cid).getUint32(0, true);
    } finally {
      descriptorCalls.close(device);
    }
  },
} satisfies Partial<System>;

function newSocket(family: number): Fd {
  return checked("socket", () => libc().socket(family, STREAM, 0)) as Fd;
}

/** Prepares a new descriptor, and closes it if that fails. */
function owned(fd: Fd, prepare: (fd: Fd) => void): Fd {
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    descriptorCalls.close(fd);
    throw error;
  }
}

function unixAddress(syscall: string, path: string): Uint8Array<ArrayBuffer> {
  const address = encodeSockaddrUn(path);
  if (address === null) throw new SystemError(syscall, "ENAMETOOLONG", { path });
  return address;
}

function socketOption(fd: Fd, option: number, size: number): Uint8Array<ArrayBuffer> {
  const value = structure(size);
  const length = structure(4);
  fields(length).setUint32(0, size, true);
  checked("getsockopt", () => libc().getsockopt(fd, SOL_SOCKET, option, value, length));
  return value;
}
