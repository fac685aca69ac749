/** The one seam between the protocols here and what carries them. @module */
import { Code, RpcError } from "../rpc_error.ts";

export interface IoOptions {
  signal?: AbortSignal;
}

/**
 * A connection: bytes in both directions. `FdStream` of ffi/ is one, so are the two ends of
 * `memoryPair()`.
 */
export interface ByteStream {
  /** Waits for at least one byte and returns how many there are; null at the end. */
  read(into: Uint8Array, options?: IoOptions): Promise<number | null>;
  /** Writes all of it. The bytes must not change until the promise settles. */
  write(data: Uint8Array, options?: IoOptions): Promise<void>;
  /** Idempotent; ends pending reads and writes, by null or by an error. */
  close(): void;
}

/** @returns false if the stream ended before the first byte. @throws {RpcError} DataLoss after it. */
export async function readExactly(
  stream: ByteStream,
  into: Uint8Array,
  options?: IoOptions,
): Promise<boolean> {
  let filled = 0;
  while (filled < into.length) {
    const count = await stream.read(into.subarray(filled), options);
    if (count === null || count === 0) {
      if (filled === 0) return false;
      throw new RpcError(Code.DataLoss, `cut off after ${filled} of ${into.length} bytes`);
    }
    filled += count;
  }
  return true;
}
