import type { Fd, System } from "../system.ts";
import { isSystemError, SystemError } from "../system_error.ts";
import { FLAG, MESSAGE, NLMSGERR_ATTR_MSG } from "./constants.ts";
import { NetlinkFormatError } from "./error.ts";
import {
  encodeRequest,
  type NetlinkMessage,
  type NetlinkRequest,
  parseAttributes,
  parseMessages,
  readText,
} from "./message.ts";

/** More than the largest datagram of a dump (32 KiB). */
const RECEIVE_BYTES = 64 * 1024;
/** Limit of the messages of a dump. */
const DUMP_MESSAGES_MAX = 100_000;
/** Attempts at a dump that changes interrupt. */
const DUMP_TRIES = 5;
/** struct nlmsghdr of the request, which an error message repeats */
const NLMSGHDR_BYTES = 16;

/**
 * Synchronous requests to the kernel's network configuration, rtnetlink(7): the kernel has answered
 * when the request is sent.
 *
 * The socket belongs to the network namespace in which it was opened, wherever its owner goes
 * later. Only the kernel can send to it: others need CAP_NET_ADMIN and a multicast group
 * (netlink(7)).
 */
export class Rtnetlink implements Disposable {
  readonly #system: System;
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));
  #sequence = 0;

  private constructor(system: System, fd: Fd) {
    this.#system = system;
    this.#fd = fd;
  }

  /** Opens a socket in the calling thread's network namespace. @throws {SystemError} */
  static open(system: System): Rtnetlink {
    return new Rtnetlink(system, system.openRtnetlink());
  }

  /**
   * Makes a change.
   *
   * @param what describes it in an error: "set link eth0 up".
   * @throws {SystemError} the kernel's error, with its message if it has one.
   * @throws {NetlinkFormatError} if the kernel does not acknowledge the request.
   */
  change(request: NetlinkRequest, what: string): void {
    const sequence = this.#send(request, what);
    for (const message of this.#receive(what)) {
      if (message.sequence !== sequence) continue;
      if (message.type === MESSAGE.ERROR) return throwIfError(message, what);
    }
    throw new NetlinkFormatError(`${what}: no acknowledgement from the kernel`);
  }

  /**
   * Requests a dump; `parse` gets the payload of each answer. Repeats a dump that a change
   * interrupted, and returns the last one even if it was interrupted.
   *
   * @throws {SystemError} the kernel's error.
   * @throws {NetlinkFormatError} if an answer is cut short.
   */
  dump<T>(request: NetlinkRequest, parse: (payload: Uint8Array) => T, what: string): T[] {
    for (let attempt = 1;; attempt++) {
      const { found, interrupted } = this.#dumpOnce(request, parse, what);
      if (!interrupted || attempt === DUMP_TRIES) return found;
    }
  }

  [Symbol.dispose](): void {
    this.#system.close(this.#fd);
  }

  #dumpOnce<T>(request: NetlinkRequest, parse: (payload: Uint8Array) => T, what: string) {
    const found: T[] = [];
    const sequence = this.#send(request, what);
    let interrupted = false;
    for (;;) {
      for (const message of this.#receive(what)) {
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & FLAG.DUMP_INTR) !== 0;
        if (message.type === MESSAGE.DONE) return { found, interrupted };
        if (message.type === MESSAGE.ERROR) throwIfError(message, what);
        else if (message.type !== MESSAGE.NOOP) found.push(parse(message.payload));
        if (found.length > DUMP_MESSAGES_MAX) {
          throw new NetlinkFormatError(`${what}: more than ${DUMP_MESSAGES_MAX} answers`);
        }
      }
    }
  }

  #send(request: NetlinkRequest, what: string): number {
    const sequence = ++this.#sequence;
    try {
      const sent = this.#system.write(this.#fd, encodeRequest(request, sequence));
      if (sent === null) throw new SystemError("write", "EAGAIN");
    } catch (error) {
      throw isSystemError(error) ? new SystemError(what, error.code, { cause: error }) : error;
    }
    return sequence;
  }

  /** Reads the messages of one datagram. Throws EAGAIN if the kernel has not answered. */
  #receive(what: string): NetlinkMessage[] {
    try {
      const length = this.#system.read(this.#fd, this.#buffer);
      if (length === null) throw new SystemError("read", "EAGAIN");
      // A copy, because parsed messages are views of it and outlive the next read.
      return parseMessages(this.#buffer.slice(0, length));
    } catch (error) {
      throw isSystemError(error) ? new SystemError(what, error.code, { cause: error }) : error;
    }
  }
}

/** Reads NLMSG_ERROR, which has a negative errno, or 0 as an acknowledgement. */
function throwIfError({ payload, flags }: NetlinkMessage, what: string): void {
  if (payload.length < 4) throw new NetlinkFormatError(`${what}: error message has no errno`);
  const errno = -new DataView(payload.buffer, payload.byteOffset, 4).getInt32(0, true);
  if (errno === 0) return;
  const said = kernelMessage(payload, flags);
  throw new SystemError(said === "" ? what : `${what} (${said})`, errno);
}

/** Returns the text of NETLINK_EXT_ACK, which is often empty. */
function kernelMessage(payload: Uint8Array, flags: number): string {
  if ((flags & FLAG.ACK_TLVS) === 0 || payload.length < 8) return "";
  const repeated = new DataView(payload.buffer, payload.byteOffset, 8).getUint32(4, true);
  const start = 4 + ((flags & FLAG.CAPPED) !== 0 ? NLMSGHDR_BYTES : (repeated + 3) & ~3);
  if (start > payload.length) return "";
  const message = parseAttributes(payload.subarray(start)).get(NLMSGERR_ATTR_MSG);
  return message === undefined ? "" : readText(message);
}
