/**
 * The protobuf wire format, https://protobuf.dev/programming-guides/encoding. Input is untrusted:
 * every length is checked against the bytes.
 *
 * @module
 */

/** Wire types. */
export const Wire = { Varint: 0, Fixed64: 1, Bytes: 2, Start: 3, End: 4, Fixed32: 5 } as const;

const VARINT_BYTES_MAX = 10;
const SCRATCH_BYTES = 256;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads the values of a message in order. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /**
   * Reads the low 64 bits of a varint, as two unsigned halves. @throws {Error} if it is too long.
   */
  varint(): { low: number; high: number } {
    let [low, high] = [0, 0];
    for (let index = 0; index < VARINT_BYTES_MAX; index++) {
      const byte = this.#byte();
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >> 4;
      } else if (index < 9) high |= bits << (7 * index - 32);
      else high |= bits << 31;
      if (byte < 0x80) return { low: low >>> 0, high: high >>> 0 };
    }
    throw new Error("varint of more than 10 bytes");
  }

  uint32(): number {
    return this.varint().low;
  }

  uint64(): bigint {
    const { low, high } = this.varint();
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
  }

  double(): number {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  }

  /** Reads a length and that many bytes, as a view. @throws {Error} if the message is shorter. */
  bytes(): Uint8Array {
    const { low, high } = this.varint();
    return this.take(high === 0 ? low : Infinity);
  }

  /** @throws {TypeError} if it is not UTF-8. */
  string(): string {
    return decoder.decode(this.bytes());
  }

  /** Reads `count` bytes, as a view. @throws {Error} if the message is shorter. */
  take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#at) throw new Error("message ends in the middle");
    return this.#bytes.subarray(this.#at, this.#at += count);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error("message ends in the middle");
    return byte;
  }
}

/** Writes the values of a message in order. */
export class WireWriter {
  #bytes = new Uint8Array(SCRATCH_BYTES);
  #length = 0;

  tag(no: number, wire: number): void {
    this.varint(BigInt(no * 8 + wire));
  }

  /** Writes a varint, which has ten bytes if it is negative. */
  varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    // Numbers are many times faster, and nearly all values are small.
    let low = Number(BigInt.asUintN(28, rest));
    while (rest >= 1n << 28n) {
      this.#room(4);
      for (let index = 0; index < 4; index++, low >>>= 7) {
        this.#bytes[this.#length++] = (low & 0x7f) | 0x80;
      }
      rest >>= 28n;
      low = Number(BigInt.asUintN(28, rest));
    }
    this.#room(4);
    for (; low > 0x7f; low >>>= 7) this.#bytes[this.#length++] = (low & 0x7f) | 0x80;
    this.#bytes[this.#length++] = low;
  }

  double(value: number): void {
    this.#room(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** Writes the length and the bytes. */
  bytes(value: Uint8Array): void {
    this.varint(BigInt(value.length));
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  string(value: string): void {
    this.bytes(encoder.encode(value));
  }

  /** Returns everything written. Nothing may be written after it. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
