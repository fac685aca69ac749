/**
 * Reads what the dynamic linker reads first from a 64-bit little-endian ELF file: its interpreter
 * and the libraries that it needs (elf(5)). The files come from packages, but lengths are still
 * checked.
 */

/** Requirements for loading an executable or library. */
export interface ElfNeeds {
  /** Path of the dynamic linker; null for libraries and static executables. */
  readonly interpreter: string | null;
  /** Names of libraries (DT_NEEDED), in the order of the file. */
  readonly libraries: readonly string[];
  /** Directories to search before the default ones (DT_RUNPATH, or the older DT_RPATH). */
  readonly runPath: readonly string[];
}

/** A file is not a 64-bit little-endian ELF file, or is damaged. */
export class ElfError extends Error {
  override readonly name = "ElfError";
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly bytes: number;
}

/** Reads the requirements of a file. @throws {ElfError} if it is not a valid ELF file. */
export function elfNeeds(file: Uint8Array): ElfNeeds {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const segments = readSegments(view);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const tags = dynamic === undefined ? [] : readDynamic(view, dynamic);
  const stringsAt = tags.find(([tag]) => tag === DT_STRTAB)?.[1];
  const strings = (wanted: bigint) =>
    tags.filter(([tag]) => tag === wanted).map(([, value]) => {
      if (stringsAt === undefined) throw new ElfError("dynamic section has no string table");
      return readString(file, fileOffset(segments, stringsAt + value));
    });
  const runPath = [...strings(DT_RUNPATH), ...strings(DT_RPATH)];
  return {
    interpreter: interpreter === undefined ? null : readString(file, interpreter.offset),
    libraries: strings(DT_NEEDED),
    runPath: runPath.flatMap((path) => path.split(":")).filter((path) => path !== ""),
  };
}

function readSegments(view: DataView): Segment[] {
  if (view.byteLength < HEADER_BYTES || view.getUint32(0) !== 0x7f454c46) {
    throw new ElfError("not an ELF file");
  }
  if (view.getUint8(4) !== 2 || view.getUint8(5) !== 1) {
    throw new ElfError("not a 64-bit little-endian ELF file");
  }
  const tableAt = fitting(view, view.getBigUint64(32, true), 0);
  const size = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count > 0 && size < SEGMENT_BYTES) throw new ElfError(`program headers of ${size} bytes`);
  fitting(view, BigInt(tableAt), size * count);
  return Array.from({ length: count }, (_, index) => {
    const at = tableAt + index * size;
    const bytes = view.getBigUint64(at + 32, true);
    // Checked where it is used, because a segment that is not used may reach past the end.
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: view.getBigUint64(at + 16, true),
      bytes: Number(bytes),
    };
  });
}

function readDynamic(view: DataView, { offset, bytes }: Segment): [tag: bigint, value: bigint][] {
  fitting(view, BigInt(offset), bytes);
  const tags: [bigint, bigint][] = [];
  for (let at = offset; at + 16 <= offset + bytes; at += 16) {
    const tag = view.getBigUint64(at, true);
    if (tag === DT_NULL) break;
    tags.push([tag, view.getBigUint64(at + 8, true)]);
  }
  return tags;
}

/** Returns the offset in the file of the byte that is loaded at `address`. */
function fileOffset(segments: readonly Segment[], address: bigint): number {
  const segment = segments.find((candidate) =>
    candidate.type === PT_LOAD && address >= candidate.address &&
    address < candidate.address + BigInt(candidate.bytes)
  );
  if (segment === undefined) throw new ElfError(`address ${address} is in no segment`);
  return segment.offset + Number(address - segment.address);
}

function readString(file: Uint8Array, at: number): string {
  const end = file.indexOf(0, at);
  if (at > file.length || end < 0) throw new ElfError(`string at ${at} has no end`);
  return new TextDecoder().decode(file.subarray(at, end));
}

/** Returns `offset` as a number. @throws {ElfError} if `bytes` from there exceed the file. */
function fitting(view: DataView, offset: bigint, bytes: number): number {
  if (offset + BigInt(bytes) > BigInt(view.byteLength)) {
    throw new ElfError(`${bytes} bytes at ${offset} are not in a file of ${view.byteLength}`);
  }
  return Number(offset);
}
