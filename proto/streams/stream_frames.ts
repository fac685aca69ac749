/**
 * Frames on a connection to the guest's stream port, in both directions: a length (u32, big-endian,
 * at most `STREAM_FRAME_BYTES_MAX`) and that many bytes. Length 0 is the end; a connection that
 * closes without it was cut off. The receiver of the end closes, because vhost-device-vsock does
 * not forward half-closes.
 *
 * @module
 */
import type { ByteStream, IoOptions } from "./byte_stream.ts";
import { Code, RpcError } from "../rpc_error.ts";

export const STREAM_FRAME_BYTES_MAX = 65_536;
const LENGTH_BYTES = 4;

/** Writes frames, one write at a time. */
export class FrameWriter {
  readonly #stream: ByteStream;
  readonly #frame = new Uint8Array(LENGTH_BYTES + STREAM_FRAME_BYTES_MAX);
  readonly #length = new DataView(this.#frame.buffer);
  #ended = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * Buffer of `STREAM_FRAME_BYTES_MAX` bytes for the next frame, which `send` sends without a copy.
   * `write` uses it, too.
   */
  get space(): Uint8Array {
    return this.#frame.subarray(LENGTH_BYTES);
  }

  /** Sends the first bytes of `space`. */
  async send(bytes: number, options?: IoOptions): Promise<void> {
    if (this.#ended) throw new TypeError("write after the end of the stream");
    if (bytes < 1 || bytes > STREAM_FRAME_BYTES_MAX) {
      throw new RangeError(`frame of ${bytes} bytes`);
    }
    this.#length.setUint32(0, bytes);
    await this.#stream.write(this.#frame.subarray(0, LENGTH_BYTES + bytes), options);
  }

  /** Sends a chunk of any size, as several frames if needed, and none if it is empty. */
  async write(chunk: Uint8Array, options?: IoOptions): Promise<void> {
    for (let sent = 0; sent < chunk.length; sent += STREAM_FRAME_BYTES_MAX) {
      const part = chunk.subarray(sent, sent + STREAM_FRAME_BYTES_MAX);
      this.space.set(part);
      await this.send(part.length, options);
    }
  }

  /** Sends the end, which the receiver answers by closing: see `waitForClose`. Idempotent. */
  async end(options?: IoOptions): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#stream.write(new Uint8Array(LENGTH_BYTES), options);
  }
}

/** Reads frames, one read at a time. */
export class FrameReader {
  readonly #stream: ByteStream;
  readonly #buffer = new Uint8Array(STREAM_FRAME_BYTES_MAX + LENGTH_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes of the current frame that were not returned yet. */
  #left = 0;
  #ended = false;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * Returns the next bytes, at least one: a frame or a part of one, because frame boundaries have
   * no meaning. They are valid until the next read.
   *
   * @returns null at the clean end; the connection is then closed
   * @throws {RpcError} DataLoss if the connection was cut off or a frame is too long; the
   * connection
   *   is then closed
   * @throws the reason of `signal` if it aborts; reading may go on after it
   */
  async read(options?: IoOptions): Promise<Uint8Array | null> {
    if (this.#left === 0 && !this.#ended) await this.#nextFrame(options);
    if (this.#ended) return null;
    if (this.#start === this.#end) await this.#fill(options);
    const chunk = this.#buffer.subarray(
      this.#start,
      Math.min(this.#end, this.#start + this.#left),
    );
    this.#start += chunk.length;
    this.#left -= chunk.length;
    return chunk;
  }

  async #nextFrame(options?: IoOptions): Promise<void> {
    while (this.#end - this.#start < LENGTH_BYTES) await this.#fill(options);
    const length = new DataView(this.#buffer.buffer).getUint32(this.#start);
    this.#start += LENGTH_BYTES;
    if (length > STREAM_FRAME_BYTES_MAX) throw this.#lost(`frame of ${length} bytes`);
    this.#left = length;
    if (length === 0) {
      this.#ended = true;
      this.#stream.close();
    }
  }

  async #fill(options?: IoOptions): Promise<void> {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    let count: number | null;
    try {
      count = await this.#stream.read(this.#buffer.subarray(this.#end), options);
    } catch (error) {
      if (options?.signal?.aborted) throw error;
      throw this.#lost("connection failed", error);
    }
    if (count === null || count === 0) throw this.#lost("connection closed before the end");
    this.#end += count;
  }

  #lost(why: string, cause?: unknown): RpcError {
    this.#stream.close();
    return new RpcError(Code.DataLoss, `stream cut off: ${why}`, { cause });
  }
}

/**
 * Waits until the receiver of an end has closed the connection, which shows that it has read
 * everything. Then closes this side, too.
 */
export async function waitForClose(stream: ByteStream, options?: IoOptions): Promise<void> {
  const rest = new Uint8Array(1024);
  try {
    for (;;) {
      const count = await stream.read(rest, options);
      if (count === null || count === 0) return;
    }
  } catch (error) {
    // A peer that closes with unread bytes resets the connection, which is closed all the same.
    if (options?.signal?.aborted) throw error;
  } finally {
    stream.close();
  }
}
