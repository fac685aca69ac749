/** Byte streams that cut or fail, for tests. @module */
import fc from "fast-check";
import type { ByteStream, IoOptions } from "../streams/byte_stream.ts";

/** Sizes of the pieces of a stream, used in turn. */
export const pieceSizes: fc.Arbitrary<number[]> = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 200_000 })),
  { minLength: 1, maxLength: 8 },
);

/** Returns a stream of `bytes` in pieces of `sizes`, which then ends, or fails with `failure`. */
export function streamOf(
  bytes: Uint8Array,
  sizes: readonly number[] = [bytes.length],
  failure?: Error,
): ByteStream & { closed: boolean } {
  let position = 0;
  let turn = 0;
  return {
    closed: false,
    async read(into: Uint8Array): Promise<number | null> {
      await Promise.resolve();
      if (position === bytes.length && failure !== undefined) throw failure;
      if (position === bytes.length) return null;
      const size = Math.min(sizes[turn++ % sizes.length] || 1, into.length);
      const piece = bytes.subarray(position, position + size);
      into.set(piece);
      position += piece.length;
      return piece.length;
    },
    write: () => Promise.reject(new Error("stream is read-only")),
    close() {
      this.closed = true;
    },
  };
}

/** Returns a stream that collects what is written to it. */
export function sink(): ByteStream & { bytes: () => Uint8Array; closed: boolean } {
  const chunks: Uint8Array[] = [];
  return {
    bytes: () => concatenate(chunks),
    closed: false,
    read: () => Promise.reject(new Error("stream is write-only")),
    async write(data: Uint8Array, _options?: IoOptions): Promise<void> {
      // A late copy reveals a writer that changes the bytes too early.
      await Promise.resolve();
      chunks.push(data.slice());
    },
    close() {
      this.closed = true;
    },
  };
}

/** Joins chunks. */
export function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let position = 0;
  for (const chunk of chunks) {
    all.set(chunk, position);
    position += chunk.length;
  }
  return all;
}

/** Returns bytes that repeat late, so that a misplaced piece shows. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8) * 13) & 0xff);
}

/** Returns the length that frames and texts of a stream begin with: four bytes, big-endian. */
export function lengthField(value: number): Uint8Array {
  const field = new Uint8Array(4);
  new DataView(field.buffer).setUint32(0, value);
  return field;
}
