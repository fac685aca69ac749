/**
 * Frames of TTRPC, https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md: a header of 10 bytes
 * (length, stream id, type, flags; big-endian) and that many bytes of data.
 *
 * @module
 */
import { MIB } from "../../base/mod.ts";
import { type ByteStream, readExactly } from "../streams/byte_stream.ts";
import { Code, RpcError } from "../rpc_error.ts";

/** Limit of the data of a message. Sender and receiver reject longer messages. */
export const MESSAGE_BYTES_MAX = 4 * MIB;
export const HEADER_BYTES = 10;
const BUFFER_BYTES = 64 * 1024;

export const MessageType = { Request: 1, Response: 2, Data: 3 } as const;

/** Flags, from the receiver's view: with RemoteClosed the sender sends no more. */
export const Flag = { RemoteClosed: 1, RemoteOpen: 2, NoData: 4 } as const;

export interface Header {
  /** Bytes of data after the header. */
  length: number;
  streamId: number;
  /** A `MessageType`, or a number of a later version. */
  type: number;
  /** Bits of `Flag`. */
  flags: number;
}

export interface Message {
  header: Header;
  /** Owned by the receiver of the message. Null if it is over the limit, and still to be read. */
  payload: Uint8Array | null;
}

export function encodeHeader(header: Header, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, HEADER_BYTES);
  view.setUint32(0, header.length);
  view.setUint32(4, header.streamId);
  view.setUint8(8, header.type);
  view.setUint8(9, header.flags);
}

export function decodeHeader(from: Uint8Array): Header {
  const view = new DataView(from.buffer, from.byteOffset, HEADER_BYTES);
  return {
    length: view.getUint32(0),
    streamId: view.getUint32(4),
    type: view.getUint8(8),
    flags: view.getUint8(9),
  };
}

/** Splits a byte stream into messages. One reader per stream, one `next` at a time. */
export class MessageReader {
  readonly #stream: ByteStream;
  // #buffer[#start..#end] was read and not used yet. Payloads are copied out of it, because decoded
  // messages keep views of their bytes.
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * Reads the next message. After one without a payload, call `discard` before reading on.
   *
   * @returns null if the stream ended between two messages
   * @throws {RpcError} DataLoss if it ended within one
   * @throws what the stream's read throws
   */
  async next(): Promise<Message | null> {
    while (this.#end - this.#start < HEADER_BYTES) {
      if (await this.#fill()) continue;
      if (this.#end === this.#start) return null;
      throw new RpcError(Code.DataLoss, "connection cut off within a message header");
    }
    const header = decodeHeader(this.#buffer.subarray(this.#start));
    this.#start += HEADER_BYTES;
    if (header.length > MESSAGE_BYTES_MAX) return { header, payload: null };
    return { header, payload: await this.#payload(header.length) };
  }

  /** Skips the data of a message that is too long. */
  async discard(length: number): Promise<void> {
    let left = length;
    for (;;) {
      const dropped = Math.min(left, this.#end - this.#start);
      this.#start += dropped;
      left -= dropped;
      if (left === 0) return;
      if (!await this.#fill()) throw cutOff(length);
    }
  }

  async #payload(length: number): Promise<Uint8Array> {
    const payload = new Uint8Array(length);
    const buffered = this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + length));
    payload.set(buffered);
    this.#start += buffered.length;
    const rest = payload.subarray(buffered.length);
    if (!await readExactly(this.#stream, rest)) throw cutOff(length);
    return payload;
  }

  async #fill(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const count = await this.#stream.read(this.#buffer.subarray(this.#end));
    if (count === null || count === 0) return false;
    this.#end += count;
    return true;
  }
}

function cutOff(length: number): RpcError {
  return new RpcError(Code.DataLoss, `connection cut off within a message of ${length} bytes`);
}

/** Writes whole messages in the order of the calls. */
export class MessageWriter {
  readonly #stream: ByteStream;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #last: Promise<void> = Promise.resolve();
  #broken: unknown = null;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * Writes a message. Resolves when the stream has taken all of it. It cannot be aborted, because
   * half a message would break the connection.
   *
   * @throws {RpcError} ResourceExhausted if the payload is over the limit; the connection stays
   * usable
   * @throws what the stream's write throws; the connection is then broken
   */
  async write(
    streamId: number,
    type: number,
    flags: number,
    payload: Uint8Array,
  ): Promise<void> {
    assertMessageLength(payload.length);
    const previous = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await previous;
    try {
      if (this.#broken !== null) throw this.#broken;
      await this.#send({ length: payload.length, streamId, type, flags }, payload);
    } catch (error) {
      this.#broken ??= error;
      throw error;
    } finally {
      resolve();
    }
  }

  async #send(header: Header, payload: Uint8Array): Promise<void> {
    encodeHeader(header, this.#buffer);
    const length = HEADER_BYTES + payload.length;
    if (length <= BUFFER_BYTES) {
      this.#buffer.set(payload, HEADER_BYTES);
      await this.#stream.write(this.#buffer.subarray(0, length));
    } else {
      await this.#stream.write(this.#buffer.subarray(0, HEADER_BYTES));
      await this.#stream.write(payload);
    }
  }
}

/**
 * @throws {RpcError} ResourceExhausted if a message of `length` bytes of data is over the limit.
 */
export function assertMessageLength(length: number): void {
  if (length <= MESSAGE_BYTES_MAX) return;
  throw tooLong(length);
}

export function tooLong(length: number): RpcError {
  return new RpcError(
    Code.ResourceExhausted,
    `message of ${length} bytes is over the limit of ${MESSAGE_BYTES_MAX}`,
  );
}
