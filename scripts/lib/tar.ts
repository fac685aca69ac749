/**
 * Writes tar archives in the ustar format (POSIX.1-1988); all members are root's, with one time.
 */

/** A member: directory, file or symbolic link. Paths are relative, without a leading `./`. */
export type TarEntry =
  | { readonly path: string; readonly folder: true; readonly mode: number }
  | { readonly path: string; readonly content: Uint8Array; readonly mode: number }
  | { readonly path: string; readonly target: string };

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
/** 1 January 2000, which no tool takes for a missing time. */
const MTIME_SECONDS = 946_684_800;

/**
 * Returns the archive of the members, in the order given.
 *
 * @throws {RangeError} for a path or link target of more than 100 bytes
 */
export function writeTar(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const content = "content" in entry ? entry.content : new Uint8Array();
    blocks.push(header(entry, content.length), content);
    blocks.push(new Uint8Array((BLOCK_BYTES - content.length % BLOCK_BYTES) % BLOCK_BYTES));
  }
  blocks.push(new Uint8Array(2 * BLOCK_BYTES));
  const archive = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}

function header(entry: TarEntry, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  const octal = (at: number, digits: number, value: number) =>
    put(at, value.toString(8).padStart(digits, "0"));
  const [type, mode, target] = "folder" in entry
    ? ["5", entry.mode, ""]
    : "target" in entry
    ? ["2", 0o777, entry.target]
    : ["0", entry.mode, ""];
  put(0, short(type === "5" ? `${entry.path}/` : entry.path));
  octal(100, 7, mode);
  octal(108, 7, 0); // uid
  octal(116, 7, 0); // gid
  octal(124, 11, size);
  octal(136, 11, MTIME_SECONDS);
  put(148, "        "); // the checksum counts as spaces
  put(156, type);
  put(157, short(target));
  put(257, "ustar\x0000");
  put(265, "root");
  put(297, "root");
  octal(148, 6, block.reduce((sum, byte) => sum + byte, 0));
  put(154, "\0 ");
  return block;
}

function short(text: string): string {
  if (new TextEncoder().encode(text).length > NAME_BYTES_MAX) {
    throw new RangeError(`path too long for a tar header: ${text}`);
  }
  return text;
}
