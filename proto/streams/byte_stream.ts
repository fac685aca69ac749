/** The seam between the protocols and their transports. @module */
import { Code, RpcError } from "../rpc_error.ts";

/**
 * A connection with bytes in both directions. Implemented by `FdStream` of ffi/ and by the two ends
 * of `memoryPair()`.
 */
export interface ByteStream {
  /** Waits for at least one byte. Returns the number of bytes, or null at the end. */
  read(into: Uint8Array, options?: IoOptions): Promise<number | null>;
  /** Writes all bytes, which must not change until the promise settles. */
  write(data: Uint8Array, options?: IoOptions): Promise<void>;
  /** Ends pending reads and writes with null or an error. Idempotent. */
  close(): void;
}

/** Options of a read or write. */
export interface IoOptions {
  signal?: AbortSignal;
}

/**
 * Fills `into`.
 *
 * @returns false if the stream ended before the first byte.
 * @throws {RpcError} DataLoss if it ended later.
 */
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
