/** A parser of hostile bytes, as the fuzzer sees it. */

import { Random, seedOf } from "./random.ts";

export interface Target {
  /** Name of the test, and of the directory of the inputs that once failed. */
  readonly name: string;
  /** Valid inputs, from which mutations get deep. */
  readonly seeds: readonly Uint8Array[];
  /** Words of the format, which mutations put in. */
  readonly words?: readonly string[];
  /** Longest input. Default: BYTES_MAX. */
  readonly bytesMax?: number;
  /**
   * Feeds an input to the parser and checks what must hold for any. Returns what came of it: inputs
   * with a result that is new are mutated further.
   *
   * @throws {AssertionError} if something does not hold.
   */
  parse(bytes: Uint8Array): string | Promise<string>;
  /** Whether the parser documents this error. */
  refuses(error: unknown): boolean;
}

export const BYTES_MAX = 256 * 1024;

/** Returns sizes of the pieces in which a stream delivers these bytes: always the same. */
export function sizesOf(bytes: Uint8Array): number[] {
  const random = new Random(seedOf(bytes));
  // A thousand pieces or two are enough.
  const most = Math.max(random.pick([1, 3, 16, 4096, 70_000]), Math.ceil(bytes.length / 1000));
  return Array.from({ length: 8 }, () => 1 + random.below(most));
}

/** Splits bytes into pieces of these sizes, used in turn. */
export function* pieces(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const end = at + sizes[turn % sizes.length]!;
    yield bytes.subarray(at, end);
    at = end;
  }
}

/**
 * Reads an input as several messages, each after its length (two bytes, big-endian), so that
 * mutations of one leave the others alone. A length that is too long takes what is there.
 */
export function messagesIn(bytes: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = bytes[at]! << 8 | bytes[at + 1]!;
    messages.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return messages;
}

/** The opposite of `messagesIn`, for seeds. */
export function together(...messages: readonly Uint8Array[]): Uint8Array {
  const all = messages.flatMap((one) => [one.length >> 8, one.length & 0xff, ...one]);
  return Uint8Array.from(all);
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Whether a text is one line that no terminal takes for more than text, of bounded length. */
export function isPlain(text: string, charactersMax: number): boolean {
  return text.length <= charactersMax && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);
}
