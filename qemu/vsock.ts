import { messageOf, quoted, withDeadline } from "../base/mod.ts";
import { connectUnix, connectVsock, type FdStream } from "../ffi/mod.ts";
import { vmDeadline, VmError } from "./error.ts";

/** Connects the host to ports of the guest. */
export interface VsockTransport {
  /**
   * Connects to a port on which the guest listens.
   *
   * @throws VmError `timeout`, `cancelled`, or `protocol` if nothing listens there.
   */
  dialGuest(port: number, options?: { signal?: AbortSignal }): Promise<FdStream>;
}

/** Timeout of a dial. A guest that listens answers in milliseconds. */
const DIAL_TIMEOUT_MS = 10_000;
/** Longest answer of vhost-device-vsock. "OK 4294967295\n" has 14 bytes. */
const ANSWER_BYTES_MAX = 64;

/** Dials through the kernel's vsock(7), for a guest with a vhost-vsock device. */
export function kernelVsock(cid: number): VsockTransport {
  return {
    dialGuest: (port, options = {}) =>
      dial(port, options.signal, async (signal) => await connectVsock(cid, port, { signal })),
  };
}

/** Dials through the unix socket of vhost-device-vsock, which takes `CONNECT <port>\n`. */
export function vhostUserVsock(path: string): VsockTransport {
  return {
    dialGuest: (port, options = {}) =>
      dial(port, options.signal, async (signal) => {
        const stream = await connectUnix(path, { signal });
        try {
          await requestPort(stream, port, signal);
          return stream;
        } catch (error) {
          stream.close();
          throw error;
        }
      }),
  };
}

/** The part of a stream that a dial needs. */
export interface DialStream {
  read(into: Uint8Array, options?: { signal?: AbortSignal }): Promise<number | null>;
  write(data: Uint8Array, options?: { signal?: AbortSignal }): Promise<void>;
}

/**
 * Asks vhost-device-vsock for a port of the guest and reads its answer, but no byte after it,
 * because the guest may send first.
 *
 * @throws VmError `protocol` if the guest refuses, or the answer is invalid.
 */
export async function requestPort(
  stream: DialStream,
  port: number,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await stream.write(new TextEncoder().encode(`CONNECT ${port}\n`), options);
  const byte = new Uint8Array(1);
  let answer = "";
  for (;;) {
    const count = await stream.read(byte, options);
    if (count === null) {
      throw new VmError(
        "protocol",
        answer === ""
          ? `guest does not listen on vsock port ${port}`
          : `vhost-device-vsock closed the connection after answering ${quoted(answer)}`,
      );
    }
    const character = String.fromCharCode(byte[0]!);
    if (character === "\n") break;
    answer += character;
    if (answer.length >= ANSWER_BYTES_MAX) break;
  }
  // The answer has the host's port, which differs from the guest's.
  if (!/^OK \d{1,10}$/.test(answer)) {
    throw new VmError(
      "protocol",
      `vhost-device-vsock answered ${quoted(answer)} instead of OK for port ${port}`,
    );
  }
}

async function dial(
  port: number,
  signal: AbortSignal | undefined,
  connect: (signal: AbortSignal) => Promise<FdStream>,
): Promise<FdStream> {
  return await withDeadline({
    timeoutMs: DIAL_TIMEOUT_MS,
    signal,
    ...vmDeadline(() => `guest did not answer on vsock port ${port} within ${DIAL_TIMEOUT_MS} ms`),
  }, async (deadline) => {
    let stream: FdStream;
    try {
      stream = await connect(deadline);
    } catch (error) {
      if (error instanceof VmError) throw error;
      throw new VmError("protocol", `dial vsock port ${port} of the guest: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (!deadline.aborted) return stream;
    // The caller has given up: nothing waits for the stream any more.
    stream.close();
    throw deadline.reason;
  });
}
