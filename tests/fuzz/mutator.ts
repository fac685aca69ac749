/** Makes hostile inputs out of valid ones. */

import { concat } from "../lib/bytes.ts";
import type { Random } from "./random.ts";

/** What mutations draw from. */
export interface Material {
  /** Inputs to begin with, and to splice in. Not empty. */
  readonly pool: readonly Uint8Array[];
  /** Words of the format. */
  readonly words: readonly Uint8Array[];
  /** Longest input. */
  readonly bytesMax: number;
}

type Mutation = (bytes: Uint8Array, random: Random, material: Material) => Uint8Array;

/** Returns an input of the pool after some mutations, of which few are more likely than many. */
export function mutated(random: Random, material: Material): Uint8Array {
  let bytes: Uint8Array = random.pick(material.pool).slice();
  const count = random.once(8) ? 1 + random.below(16) : 1 + random.below(3);
  for (let done = 0; done < count; done++) {
    bytes = random.pick(MUTATIONS)(bytes, random, material);
    if (bytes.length > material.bytesMax) bytes = bytes.slice(0, material.bytesMax);
  }
  return bytes;
}

/** Values at the edges of types and of this repository's limits. */
const EDGES = [
  ...[0, 1, 2, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x1_0001],
  ...[0x40_0000, 0x40_0001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff],
].map(BigInt).concat([1n << 32n, (1n << 53n) + 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n]);
/** How often a part is repeated. */
const REPEATS = [2, 3, 16, 256, 65_536];

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  setNumber,
  setVarint,
  truncate,
  dropPart,
  repeatPart,
  insertBytes,
  insertWord,
  insertWord,
  replaceToken,
  splice,
  swapParts,
];

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
}

function setByte(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) {
    bytes[random.below(bytes.length)] = random.pick([0, 1, 0x0a, 0x1b, 0x7f, 0x80, 0xff]);
  }
  return bytes;
}

/** Overwrites with a number at an edge: such bytes may be a length. */
function setNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const width = random.pick([1, 2, 4, 8]);
  if (bytes.length < width) return bytes;
  const at = random.below(bytes.length - width + 1);
  let value = BigInt.asUintN(8 * width, random.pick(EDGES));
  const littleEndian = random.once(2);
  for (let index = 0; index < width; index++, value >>= 8n) {
    bytes[at + (littleEndian ? index : width - 1 - index)] = Number(value & 0xffn);
  }
  return bytes;
}

/** Replaces a byte by a varint of protobuf. */
function setVarint(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const varint: number[] = [];
  let value = random.pick(EDGES);
  for (; value > 0x7fn; value >>= 7n) varint.push(Number(value & 0x7fn) | 0x80);
  varint.push(Number(value));
  return concat([bytes.subarray(0, at), Uint8Array.from(varint), bytes.subarray(at + 1)]);
}

function truncate(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.slice(0, random.below(bytes.length + 1));
}

function dropPart(bytes: Uint8Array, random: Random): Uint8Array {
  const [start, end] = part(bytes, random);
  return concat([bytes.subarray(0, start), bytes.subarray(end)]);
}

function repeatPart(bytes: Uint8Array, random: Random, { bytesMax }: Material): Uint8Array {
  const [start, end] = part(bytes, random);
  if (start === end) return bytes;
  // Long inputs are few, since they take long.
  const room = random.once(50) ? bytesMax : Math.min(bytesMax, 4096);
  const wanted = Math.min(random.pick(REPEATS), Math.ceil(room / (end - start)));
  const repeated = Array<Uint8Array>(wanted).fill(bytes.subarray(start, end));
  return concat([bytes.subarray(0, start), ...repeated, bytes.subarray(end)]);
}

function insertBytes(bytes: Uint8Array, random: Random): Uint8Array {
  return insert(bytes, random.bytes(1 + random.below(8)), random);
}

function insertWord(bytes: Uint8Array, random: Random, { words }: Material): Uint8Array {
  if (words.length === 0) return flipBit(bytes, random);
  const word = random.pick(words);
  if (random.once(2)) return insert(bytes, word, random);
  const [start, end] = part(bytes, random);
  return concat([bytes.subarray(0, start), word, bytes.subarray(end)]);
}

/** Replaces a number or a name of a text by a word, so that the text may stay well-formed. */
function replaceToken(bytes: Uint8Array, random: Random, material: Material): Uint8Array {
  const isPart = (byte: number | undefined) =>
    byte !== undefined && /[\w.+-]/.test(String.fromCharCode(byte));
  const at = random.below(bytes.length + 1);
  let [start, end] = [at, at];
  while (isPart(bytes[start - 1])) start--;
  while (isPart(bytes[end])) end++;
  if (start === end || material.words.length === 0) return insertWord(bytes, random, material);
  return concat([bytes.subarray(0, start), random.pick(material.words), bytes.subarray(end)]);
}

function splice(bytes: Uint8Array, random: Random, { pool }: Material): Uint8Array {
  const other = random.pick(pool);
  const [start, end] = part(other, random);
  return insert(bytes, other.subarray(start, end), random);
}

function swapParts(bytes: Uint8Array, random: Random): Uint8Array {
  const [start, end] = part(bytes, random);
  const middle = start + random.below(end - start + 1);
  return concat([
    ...[bytes.subarray(0, start), bytes.subarray(middle, end)],
    ...[bytes.subarray(start, middle), bytes.subarray(end)],
  ]);
}

function insert(bytes: Uint8Array, what: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  return concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
}

/** Returns where a part begins and ends; short ones are more likely. */
function part(bytes: Uint8Array, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length + 1);
  const rest = bytes.length - start;
  const length = random.below((random.once(3) ? rest : Math.min(rest, 16)) + 1);
  return [start, start + length];
}
