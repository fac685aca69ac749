/** Files out of a Debian root, for the images that are made of them. */

/** A Debian root to take files from. */
export interface DebianFiles {
  /** The content of the file at an absolute path in the root, null if there is none. */
  read(path: string): Uint8Array | null;
}

/** Those of the root at `folder`. Links in it are followed by the system; those that lead out of it are not in our way. */
export function debianFiles(folder: string): DebianFiles {
  return {
    read(path: string): Uint8Array | null {
      try {
        return Deno.readFileSync(folder + path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
  };
}

/** @throws {Error} naming the file when the root does not have it */
export function requiredFile(root: DebianFiles, path: string): Uint8Array {
  const content = root.read(path);
  if (content === null) throw new Error(`${path} is missing in the Debian root`);
  return content;
}
