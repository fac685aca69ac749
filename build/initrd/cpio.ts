/**
 * Writes initrds: cpio archives in the "newc" format, which Linux unpacks as its initramfs (kernel
 * document Documentation/driver-api/early-userspace/buffer-format.rst). The same entries give the
 * same bytes in any order: the archive has no time, user or inode number of the host.
 */

/**
 * Returns the archive of `entries`, sorted by path and owned by root.
 *
 * @throws {RangeError} if a path is not relative and plain, occurs twice or has no entry for its
 * directory, or if a file is too large
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const sorted = [...entries].sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  check(sorted);
  const records = sorted.map((entry, index) => record(entry, index + 1));
  records.push(trailer());
  const size = roundUp(records.reduce((sum, { bytes }) => sum + bytes, 0), BLOCK_BYTES);
  const archive = new Uint8Array(size);
  let at = 0;
  for (const { header, name, data, bytes } of records) {
    archive.set(header, at);
    archive.set(name, at + HEADER_BYTES);
    archive.set(data, at + roundUp(HEADER_BYTES + name.length + 1, 4));
    at += bytes;
  }
  return archive;
}

/** Common part of the entries. */
interface Named {
  /** Relative to the root, without `.` and `..`: `usr/bin/crun`. */
  readonly path: string;
}

/** A regular file. */
export interface CpioFile extends Named {
  readonly kind: "file";
  /** Permission bits. */
  readonly mode: number;
  readonly content: Uint8Array;
}

/** A directory, which must come with an entry for it to have entries below. */
export interface CpioDirectory extends Named {
  readonly kind: "directory";
  readonly mode: number;
}

/** A symbolic link. */
export interface CpioLink extends Named {
  readonly kind: "link";
  readonly target: string;
}

/** A node of a character device. */
export interface CpioCharacterDevice extends Named {
  readonly kind: "character-device";
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
}

/** An entry of an archive. */
export type CpioEntry = CpioFile | CpioDirectory | CpioLink | CpioCharacterDevice;

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const HEADER_BYTES = 110;
/** The kernel rejects names longer than PATH_MAX, including the NUL. */
const NAME_BYTES_MAX = 4096;
/** Sizes have 8 hexadecimal digits. */
const FILE_BYTES_MAX = 0xffff_ffff;
const BLOCK_BYTES = 512;

const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

function check(sorted: readonly CpioEntry[]): void {
  const directories = new Set<string>();
  let previous: string | null = null;
  for (const entry of sorted) {
    const { path } = entry;
    const parts = path.split("/");
    if (path.includes("\0") || parts.some((part) => ["", ".", ".."].includes(part))) {
      throw new RangeError(`${JSON.stringify(path)} is not a plain relative path`);
    }
    if (path === TRAILER) {
      throw new RangeError(`${TRAILER} ends an archive and cannot be the name of an entry`);
    }
    if (path === previous) throw new RangeError(`${path} occurs twice`);
    const parent = parts.slice(0, -1).join("/");
    if (parent !== "" && !directories.has(parent)) {
      throw new RangeError(`${path} has no entry for its directory ${parent}`);
    }
    if (entry.kind === "directory") directories.add(path);
    previous = path;
  }
}

interface CpioRecord {
  readonly header: Uint8Array;
  readonly name: Uint8Array;
  readonly data: Uint8Array;
  /** Size of the record, with its padding. */
  readonly bytes: number;
}

function record(entry: CpioEntry, inode: number): CpioRecord {
  const none = new Uint8Array();
  switch (entry.kind) {
    case "directory":
      return pack(entry.path, none, { inode, mode: S_IFDIR | entry.mode, links: 2 });
    case "file":
      return pack(entry.path, entry.content, { inode, mode: S_IFREG | entry.mode });
    case "link":
      return pack(entry.path, new TextEncoder().encode(entry.target), {
        inode,
        mode: S_IFLNK | 0o777,
      });
    case "character-device":
      return pack(entry.path, none, {
        inode,
        mode: S_IFCHR | entry.mode,
        device: [entry.major, entry.minor],
      });
  }
}

function trailer(): CpioRecord {
  return pack(TRAILER, new Uint8Array(), { inode: 0, mode: 0 });
}

interface Attributes {
  readonly inode: number;
  readonly mode: number;
  readonly links?: number;
  readonly device?: readonly [major: number, minor: number];
}

function pack(path: string, data: Uint8Array, attributes: Attributes): CpioRecord {
  const name = new TextEncoder().encode(path);
  if (name.length + 1 > NAME_BYTES_MAX) {
    throw new RangeError(`path ${path.slice(0, 60)}… is too long`);
  }
  if (data.length > FILE_BYTES_MAX) {
    throw new RangeError(`${path} is too large: ${data.length} bytes`);
  }
  const { inode, mode, links = 1, device = [0, 0] } = attributes;
  const fields = [
    ...[inode, mode, 0, 0, links, 0], // inode, mode, uid, gid, links, modification time
    ...[data.length, 0, 0, ...device], // size, device of the file, device of a node
    ...[name.length + 1, 0], // length of the name with its NUL, checksum (not in newc)
  ];
  const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return {
    header: new TextEncoder().encode(header),
    name,
    data,
    bytes: roundUp(HEADER_BYTES + name.length + 1, 4) + roundUp(data.length, 4),
  };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
