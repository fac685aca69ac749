/** Files from a Debian root, for the images that are made of them. */
import { ifPresent } from "../base/mod.ts";

/** A Debian root to take files from. */
export interface DebianFiles {
  /** Returns the content of the file at an absolute path in the root, or null if there is none. */
  read(path: string): Uint8Array | null;
}

/** Returns the files of the root at `directory`. The system follows links, also out of the root. */
export function debianFiles(directory: string): DebianFiles {
  return { read: (path) => ifPresent(() => Deno.readFileSync(directory + path)) };
}

/** Returns the content of a file. @throws {Error} naming the file, if the root does not have it. */
export function requiredFile(root: DebianFiles, path: string): Uint8Array {
  const content = root.read(path);
  if (content === null) throw new Error(`${path} is missing in the Debian root`);
  return content;
}

/** Returns the same files, and a set to which the path of each file that was read is added. */
export function recorded(root: DebianFiles): { files: DebianFiles; paths: ReadonlySet<string> } {
  const paths = new Set<string>();
  const read = (path: string) => {
    const content = root.read(path);
    if (content !== null) paths.add(path);
    return content;
  };
  return { files: { read }, paths };
}
