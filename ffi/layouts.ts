/**
 * C structures of Linux and glibc on x86-64 (little endian), with named offsets in bytes.
 *
 * `layouts_test.ts` compares the offsets with those of a C compiler.
 */

/** struct epoll_event, packed on x86-64 */
export const EPOLL_EVENT = { size: 12, events: 0, data: 4 } as const;
/** struct pollfd */
export const POLLFD = { size: 8, fd: 0, events: 4, revents: 6 } as const;
/** struct sockaddr_un */
export const SOCKADDR_UN = { size: 110, sun_family: 0, sun_path: 2 } as const;
/** struct sockaddr_vm */
export const SOCKADDR_VM = { size: 16, svm_family: 0, svm_port: 4, svm_cid: 8 } as const;
/** struct iovec */
export const IOVEC = { size: 16, iov_base: 0, iov_len: 8 } as const;
/** struct msghdr */
export const MSGHDR = {
  size: 56,
  msg_name: 0,
  msg_namelen: 8,
  msg_iov: 16,
  msg_iovlen: 24,
  msg_control: 32,
  msg_controllen: 40,
  msg_flags: 48,
} as const;
/** struct cmsghdr; the data follows it */
export const CMSGHDR = { size: 16, cmsg_len: 0, cmsg_level: 8, cmsg_type: 12 } as const;
/** siginfo_t, as filled by waitid(2) */
export const SIGINFO = { size: 128, si_code: 8, si_pid: 16, si_status: 24 } as const;
/** struct timespec */
export const TIMESPEC = { size: 16, tv_sec: 0, tv_nsec: 8 } as const;
/** struct ucred */
export const UCRED = { size: 12, pid: 0, uid: 4, gid: 8 } as const;
/** struct ifreq */
export const IFREQ = { size: 40, ifr_name: 0, ifr_flags: 16 } as const;
/** struct winsize */
export const WINSIZE = { size: 8, ws_row: 0, ws_col: 2 } as const;
/** struct statx */
export const STATX = { size: 256, stx_mode: 28 } as const;
/** struct mount_attr */
export const MOUNT_ATTR = {
  size: 32,
  attr_set: 0,
  attr_clr: 8,
  propagation: 16,
  userns_fd: 24,
} as const;
/** struct blkpg_ioctl_arg */
export const BLKPG_ARGUMENT = { size: 24, op: 0, flags: 4, datalen: 8, data: 16 } as const;
/** struct blkpg_partition */
export const BLKPG_PARTITION = { size: 152, start: 0, length: 8, pno: 16 } as const;
/** sigset_t: one bit per signal, signal 1 first */
export const SIGSET = { size: 128 } as const;
/** posix_spawn_file_actions_t, opaque */
export const SPAWN_FILE_ACTIONS = { size: 80 } as const;
/** posix_spawnattr_t, opaque */
export const SPAWN_ATTRIBUTES = { size: 336 } as const;

const NANOSECONDS_PER_SECOND = 1_000_000_000n;

/**
 * Returns zeroed memory for a structure of `size` bytes. It is never a small typed array on V8's
 * heap, which could move.
 */
export function structure(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size));
}

/** Returns a view to read and write fields with. */
export function fields(bytes: Uint8Array<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the address of a path, or null if it does not fit (107 bytes and the NUL). */
export function encodeSockaddrUn(path: string): Uint8Array<ArrayBuffer> | null {
  const text = new TextEncoder().encode(path);
  if (text.length > SOCKADDR_UN.size - SOCKADDR_UN.sun_path - 1) return null;
  const bytes = structure(SOCKADDR_UN.sun_path + text.length + 1);
  fields(bytes).setUint16(SOCKADDR_UN.sun_family, AF_UNIX, true);
  bytes.set(text, SOCKADDR_UN.sun_path);
  return bytes;
}

/** Returns the address of a vsock port. */
export function encodeSockaddrVm(cid: number, port: number): Uint8Array<ArrayBuffer> {
  const bytes = structure(SOCKADDR_VM.size);
  const view = fields(bytes);
  view.setUint16(SOCKADDR_VM.svm_family, AF_VSOCK, true);
  view.setUint32(SOCKADDR_VM.svm_port, port, true);
  view.setUint32(SOCKADDR_VM.svm_cid, cid, true);
  return bytes;
}

export const AF_UNIX = 1;
export const AF_VSOCK = 40;

/** Returns a struct timespec; its tv_nsec is never negative. */
export function encodeTimespec(nanoseconds: bigint): Uint8Array<ArrayBuffer> {
  const remainder = nanoseconds % NANOSECONDS_PER_SECOND;
  const below = remainder < 0n ? remainder + NANOSECONDS_PER_SECOND : remainder;
  const bytes = structure(TIMESPEC.size);
  const view = fields(bytes);
  view.setBigInt64(TIMESPEC.tv_sec, (nanoseconds - below) / NANOSECONDS_PER_SECOND, true);
  view.setBigInt64(TIMESPEC.tv_nsec, below, true);
  return bytes;
}

/** Returns the nanoseconds of a struct timespec. */
export function decodeTimespec(bytes: Uint8Array<ArrayBuffer>): bigint {
  const view = fields(bytes);
  return view.getBigInt64(TIMESPEC.tv_sec, true) * NANOSECONDS_PER_SECOND +
    view.getBigInt64(TIMESPEC.tv_nsec, true);
}

/** Returns an epoll_event; `token` has the 64 bits that come back with an event. */
export function encodeEpollEvent(events: number, token: bigint): Uint8Array<ArrayBuffer> {
  const bytes = structure(EPOLL_EVENT.size);
  const view = fields(bytes);
  view.setUint32(EPOLL_EVENT.events, events, true);
  view.setBigUint64(EPOLL_EVENT.data, token, true);
  return bytes;
}

/** Returns event number `index` of the array that epoll_wait(2) filled. */
export function decodeEpollEvent(
  bytes: Uint8Array<ArrayBuffer>,
  index: number,
): { events: number; token: bigint } {
  const view = fields(bytes);
  const offset = index * EPOLL_EVENT.size;
  return {
    events: view.getUint32(offset + EPOLL_EVENT.events, true),
    token: view.getBigUint64(offset + EPOLL_EVENT.data, true),
  };
}

/**
 * Returns a sigset_t of all 64 signals. sigfillset(3) leaves out 32 and 33, which posix_spawn(3)
 * would then ignore in the child.
 */
export function allSignals(): Uint8Array<ArrayBuffer> {
  const bytes = structure(SIGSET.size);
  fields(bytes).setBigUint64(0, 0xffff_ffff_ffff_ffffn, true);
  return bytes;
}
