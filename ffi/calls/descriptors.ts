import { O } from "../constants.ts";
import { fields, POLLFD, STATX, structure } from "../layouts.ts";
import { descriptors as libc } from "../libc/descriptors.ts";
import { checked, errno, systemError } from "../libc/errno.ts";
import { ioctls } from "../libc/ioctl.ts";
import { cString } from "../libc/strings.ts";
import type { Fd, FileType, System } from "../system.ts";
import { isSystemError } from "../system_error.ts";
import { isStray, STRAYS_MAX } from "./stray_errno.ts";

const EINTR = 4, EAGAIN = 11;
const F_DUPFD_CLOEXEC = 1030, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4;
const F_SETPIPE_SZ = 1031;
const FD_CLOEXEC = 1;
const FIONREAD = 0x541bn;
const POLLERR = 8;
const LOCK_EX = 2, LOCK_NB = 4;
const MFD_CLOEXEC = 1;
const SEEK_DATA = 3, SEEK_HOLE = 4;
const AT_EMPTY_PATH = 0x1000;
const STATX_TYPE = 1;
const TYPE_MASK = 0o170000;
const TYPES = new Map<number, FileType>([
  [0o010000, "fifo"],
  [0o020000, "character"],
  [0o040000, "directory"],
  [0o100000, "file"],
  [0o140000, "socket"],
]);
/** Lowest number of a duplicate, above the standard streams of a child. */
const DUPLICATE_MIN = 3;

/** Descriptor calls of {@link System}. */
export const descriptorCalls = {
  open(path, flags, mode = 0o644) {
    const name = cString(path);
    return checked("open", () => libc().open(name, flags | O.CLOEXEC, mode), path) as Fd;
  },
  close(fd) {
    for (const observe of closeObservers) observe(fd);
    // Not `checked`: after EINTR the descriptor is closed, and its number may be reused already.
    if (libc().close(fd) === 0) return;
    const code = errno();
    if (code !== EINTR) throw systemError("close", code);
  },
  read(fd, into) {
    return transfer("read", libc().read, fd, into);
  },
  write(fd, data) {
    return transfer("write", libc().write, fd, data);
  },
  readAt(fd, into, offset) {
    const [bytes, length] = [into as Uint8Array<ArrayBuffer>, BigInt(into.length)];
    return checked("pread", () => Number(libc().pread(fd, bytes, length, BigInt(offset))));
  },
  nextData(fd, from) {
    try {
      const start = checked("lseek", () => Number(libc().lseek(fd, BigInt(from), SEEK_DATA)));
      const end = checked("lseek", () => Number(libc().lseek(fd, BigInt(start), SEEK_HOLE)));
      return { start, end };
    } catch (error) {
      if (isSystemError(error, "ENXIO")) return null;
      throw error;
    }
  },
  pipe({ nonblock = "none" } = {}) {
    const ends = structure(8);
    const flags = O.CLOEXEC | (nonblock === "both" ? O.NONBLOCK : 0);
    checked("pipe2", () => libc().pipe2(ends, flags));
    const [read, write] = descriptorPair(ends);
    if (nonblock === "read") descriptorCalls.setNonblock(read, true);
    if (nonblock === "write") descriptorCalls.setNonblock(write, true);
    return { read, write };
  },
  setPipeCapacity(fd, bytes) {
    checked("fcntl", () => libc().fcntl(fd, F_SETPIPE_SZ, bytes));
  },
  pipeState(fd) {
    const unread = structure(4);
    checked("ioctl", () => ioctls().ioctl(fd, FIONREAD, unread));
    const poll = structure(POLLFD.size);
    fields(poll).setInt32(POLLFD.fd, fd, true);
    checked("poll", () => libc().poll(poll, 1n, 0));
    const revents = fields(poll).getInt16(POLLFD.revents, true);
    return {
      unreadBytes: fields(unread).getInt32(0, true),
      hasReader: (revents & POLLERR) === 0,
    };
  },
  mkfifo(path, mode) {
    const name = cString(path);
    checked("mkfifo", () => libc().mkfifo(name, mode), path);
  },
  setNonblock(fd, on) {
    const flags = checked("fcntl", () => libc().fcntl(fd, F_GETFL, 0));
    const wanted = on ? flags | O.NONBLOCK : flags & ~O.NONBLOCK;
    checked("fcntl", () => libc().fcntl(fd, F_SETFL, wanted));
  },
  setCloexec(fd, on) {
    const flags = checked("fcntl", () => libc().fcntl(fd, F_GETFD, 0));
    const wanted = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    checked("fcntl", () => libc().fcntl(fd, F_SETFD, wanted));
  },
  duplicate(fd, atLeast = DUPLICATE_MIN) {
    return checked("fcntl", () => libc().fcntl(fd, F_DUPFD_CLOEXEC, atLeast)) as Fd;
  },
  tryLock(fd) {
    try {
      checked("flock", () => libc().flock(fd, LOCK_EX | LOCK_NB));
      return true;
    } catch (error) {
      if (isSystemError(error, "EAGAIN")) return false;
      throw error;
    }
  },
  lock(fd) {
    checked("flock", () => libc().flock(fd, LOCK_EX));
  },
  fileType(fd) {
    const stat = structure(STATX.size);
    const empty = cString("");
    checked("statx", () => libc().statx(fd, empty, AT_EMPTY_PATH, STATX_TYPE, stat));
    const mode = fields(stat).getUint16(STATX.stx_mode, true);
    return TYPES.get(mode & TYPE_MASK) ?? "other";
  },
  memfd(name) {
    const text = cString(name);
    return checked("memfd_create", () => libc().memfd_create(text, MFD_CLOEXEC)) as Fd;
  },
} satisfies Partial<System>;

/**
 * Called with a descriptor that is about to be closed. A poller adds itself here, because the
 * kernel drops a closed descriptor from an epoll set without an event.
 */
export const closeObservers: Set<(fd: Fd) => void> = new Set();

/** Reads the two descriptors that pipe2(2) or socketpair(2) wrote. */
export function descriptorPair(ends: Uint8Array<ArrayBuffer>): [Fd, Fd] {
  const view = fields(ends);
  return [view.getInt32(0, true) as Fd, view.getInt32(4, true) as Fd];
}

/** Calls read(2) or write(2), without the closure of `checked` because this is the hot path. */
function transfer(
  syscall: string,
  call: (fd: number, bytes: BufferSource, length: bigint) => bigint,
  fd: Fd,
  bytes: Uint8Array,
): number | null {
  const length = BigInt(bytes.length);
  for (let strays = 0;;) {
    const result = call(fd, bytes as Uint8Array<ArrayBuffer>, length);
    if (result !== -1n) return Number(result);
    const code = errno();
    if (code === EAGAIN) return null;
    if (code === EINTR) continue;
    if (strays++ === STRAYS_MAX || !isStray(syscall, code)) throw systemError(syscall, code);
  }
}
