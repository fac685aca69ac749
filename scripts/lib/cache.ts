/**
 * A cache of build results that are expensive, each under a name with the hash of all its inputs.
 * An entry is made under another name and renamed, so it is complete or absent. A lock file makes
 * one of several processes build it while the others wait.
 */

import { createHash } from "node:crypto";
import { ifPresent } from "../../base/mod.ts";
import { cacheFolder } from "./paths.ts";

/** Returns the first 16 hexadecimal digits of the SHA-256 of all parts and their lengths. */
export function hashOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Returns the SHA-256 of a file, or of its first `bytes`, in hexadecimal. */
export async function fileSha256(path: string, bytes = Infinity): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let left = bytes, read; left > 0; left -= read) {
    read = file.readSync(buffer.subarray(0, Math.min(left, buffer.length))) ?? 0;
    if (read === 0) break;
    hash.update(buffer.subarray(0, read));
  }
  return hash.digest("hex");
}

/** Runs `action` with an exclusive lock on `path`, which the kernel drops if the process dies. */
export async function locked<T>(path: string, action: () => Promise<T>): Promise<T> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  using file = await Deno.open(path, { create: true, write: true });
  await file.lock(true);
  return await action();
}

/**
 * Returns the path of the cache entry `name`. If it is absent, `make` makes it at the path that it
 * is given, which does not exist yet.
 */
export async function cached(
  name: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = cacheFolder(name);
  if (isUsed(path)) return path;
  return await locked(`${cacheFolder("locks")}/${name.replaceAll("/", "_")}`, async () => {
    if (isUsed(path)) return path;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const unfinished = `${path}.unfinished`;
    // Left by a killed process: we hold the lock, so no other process writes there.
    await removeTree(unfinished);
    try {
      await make(unfinished);
      await Deno.rename(unfinished, path);
    } catch (error) {
      await removeTree(unfinished);
      throw error;
    }
    return path;
  });
}

/** Entries of one kind that are kept: enough to switch between two branches. */
const ENTRIES_KEPT = 3;

/**
 * Removes all but the entries in the cache's directory `kind` that were used last, of those that
 * begin with `prefix`.
 */
export async function keepNewest(kind: string, prefix: string): Promise<void> {
  const directory = cacheFolder(kind);
  const entries = [...Deno.readDirSync(directory)]
    .filter(({ name }) => name.startsWith(prefix) && !name.includes("."))
    .map(({ name }) => ({ name, time: timeOf(`${directory}/${name}`) }))
    .sort((a, b) => b.time - a.time);
  for (const { name } of entries.slice(ENTRIES_KEPT)) await removeTree(`${directory}/${name}`);
}

/**
 * When an entry was made or used, in ms; 0 if another process has removed it meanwhile. The access
 * time says it, since the modification time is what copies are recognized by.
 */
function timeOf(path: string): number {
  const info = ifPresent(() => Deno.statSync(path));
  return Math.max(info?.atime?.getTime() ?? 0, info?.mtime?.getTime() ?? 0);
}

/** Returns whether an entry exists, which keeps it for now. */
function isUsed(path: string): boolean {
  const mtime = ifPresent(() => Deno.statSync(path))?.mtime ?? null;
  if (mtime === null) return false;
  try {
    Deno.utimeSync(path, new Date(), mtime);
  } catch {
    return false; // Removed meanwhile.
  }
  return true;
}

/** Removes a file or a directory with its contents; absent is fine. */
export async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
