/** Files that may be absent. A missing file or parent is a result; any other failure is thrown. */

/** Runs `read`; returns null if the file, or a directory above it, does not exist. */
export function ifPresent<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw error;
  }
}

/** Returns whether `path` exists. A symbolic link counts, even if its target does not exist. */
export function isThere(path: string): boolean {
  return ifPresent(() => Deno.lstatSync(path)) !== null;
}

/** Returns whether `path` is a directory, or a symbolic link to one. */
export function isDirectory(path: string): boolean {
  return ifPresent(() => Deno.statSync(path))?.isDirectory ?? false;
}

/** Returns the text of a file, or null if it does not exist. */
export function readIfPresent(path: string): string | null {
  return ifPresent(() => Deno.readTextFileSync(path));
}

/** Returns the entries of a directory, or none if it does not exist. */
export function listIfPresent(path: string): Deno.DirEntry[] {
  return ifPresent(() => [...Deno.readDirSync(path)]) ?? [];
}

/** Removes a file or directory, unless it is absent already. */
export function removeIfPresent(path: string, options: Deno.RemoveOptions = {}): void {
  ifPresent(() => Deno.removeSync(path, options));
}
