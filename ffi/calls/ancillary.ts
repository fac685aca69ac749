import { CMSGHDR, fields, IOVEC, MSGHDR, structure } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { sockets as libc } from "../libc/sockets.ts";
import { addressOf } from "../libc/strings.ts";
import type { Fd } from "../system.ts";
import { SystemError } from "../system_error.ts";
import { descriptorCalls } from "./descriptors.ts";

const SOL_SOCKET = 1, SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000, MSG_CTRUNC = 8;
const FD_SIZE = 4;
const RECEIVE_FDS_DEFAULT = 8;

/**
 * sendmsg(2) with SCM_RIGHTS, unix(7). The descriptors are attached to the first byte, so a
 * receiver must take both in one call.
 */
export function sendFds(fd: Fd, data: Uint8Array, fds: Fd[]): number {
  const message = new Message(data.length, fds.length * FD_SIZE);
  message.data.set(data);
  if (fds.length > 0) {
    message.view.setBigUint64(message.control + CMSGHDR.cmsg_len, message.controlLength, true);
    message.view.setInt32(message.control + CMSGHDR.cmsg_level, SOL_SOCKET, true);
    message.view.setInt32(message.control + CMSGHDR.cmsg_type, SCM_RIGHTS, true);
    const first = message.control + CMSGHDR.size;
    fds.forEach((each, index) => message.view.setInt32(first + index * FD_SIZE, each, true));
  }
  return checked("sendmsg", () => Number(libc().sendmsg(fd, message.bytes, MSG_NOSIGNAL)));
}

/**
 * recvmsg(2) with SCM_RIGHTS, unix(7).
 *
 * @throws {SystemError} EMSGSIZE if there were more than `max` descriptors; all are closed then.
 */
export function receiveFds(
  fd: Fd,
  into: Uint8Array,
  max: number = RECEIVE_FDS_DEFAULT,
): { bytes: number; fds: Fd[] } {
  const message = new Message(into.length, max * FD_SIZE);
  const bytes = checked(
    "recvmsg",
    () => Number(libc().recvmsg(fd, message.bytes, MSG_CMSG_CLOEXEC)),
  );
  const fds = message.descriptors();
  if (message.view.getInt32(MSGHDR.msg_flags, true) & MSG_CTRUNC) {
    fds.forEach((each) => descriptorCalls.close(each));
    throw new SystemError("recvmsg", "EMSGSIZE");
  }
  into.set(message.data.subarray(0, bytes));
  return { bytes, fds };
}

/**
 * A struct msghdr and everything that it points to (iovec, control message, data) in one buffer, so
 * that all of it lives as long as the call.
 */
class Message {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;
  /** Offset of the control message. */
  readonly control = MSGHDR.size + IOVEC.size;
  readonly controlLength: bigint;

  constructor(dataLength: number, rightsLength: number) {
    const controlLength = rightsLength === 0 ? 0 : CMSGHDR.size + rightsLength;
    const dataOffset = this.control + Math.ceil(controlLength / 8) * 8;
    this.controlLength = BigInt(controlLength);
    this.bytes = structure(dataOffset + dataLength);
    this.view = fields(this.bytes);
    this.data = this.bytes.subarray(dataOffset);
    const base = addressOf(this.bytes);
    const iovec = MSGHDR.size;
    this.view.setBigUint64(MSGHDR.msg_iov, base + BigInt(iovec), true);
    this.view.setBigUint64(MSGHDR.msg_iovlen, 1n, true);
    this.view.setBigUint64(iovec + IOVEC.iov_base, base + BigInt(dataOffset), true);
    this.view.setBigUint64(iovec + IOVEC.iov_len, BigInt(dataLength), true);
    if (controlLength > 0) {
      this.view.setBigUint64(MSGHDR.msg_control, base + BigInt(this.control), true);
      this.view.setBigUint64(MSGHDR.msg_controllen, this.controlLength, true);
    }
  }

  /** Descriptors of a received message, which has at most one SCM_RIGHTS. */
  descriptors(): Fd[] {
    const received = Number(this.view.getBigUint64(MSGHDR.msg_controllen, true));
    if (received < CMSGHDR.size) return [];
    const level = this.view.getInt32(this.control + CMSGHDR.cmsg_level, true);
    const type = this.view.getInt32(this.control + CMSGHDR.cmsg_type, true);
    if (level !== SOL_SOCKET || type !== SCM_RIGHTS) return [];
    const length = Number(this.view.getBigUint64(this.control + CMSGHDR.cmsg_len, true));
    const count = Math.floor((length - CMSGHDR.size) / FD_SIZE);
    const first = this.control + CMSGHDR.size;
    return Array.from(
      { length: count },
      (_, index) => this.view.getInt32(first + index * FD_SIZE, true) as Fd,
    );
  }
}
