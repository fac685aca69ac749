/**
 * A cache of things that are expensive to make, each under a name that carries the hash of all that
 * it is made from. An entry is made beside its place and renamed into it, so it is whole or absent;
 * a lock file lets of several processes one make it and the others wait for it.
 */

import { createHash } from "node:crypto";
import { cacheFolder, existing } from "./paths.ts";

/** The first 16 hexadecimal digits of the SHA-256 of all parts, which are kept apart. */
export function hashOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  return hash.digest("hex").slice(0, 16);
}

/** The SHA-256 of a file, in hexadecimal. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let bytes; (bytes = file.readSync(buffer)) !== null;) hash.update(buffer.subarray(0, bytes));
  return hash.digest("hex");
}

/**
 * Holds an exclusive lock on `path` (the kernel drops it when the process dies) during `action`.
 */
export async function locked<T>(path: string, action: () => Promise<T>): Promise<T> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  using file = await Deno.open(path, { create: true, write: true });
  await file.lock(true);
  return await action();
}

/**
 * The path of the cache entry `name`, which `make` makes at the (not yet existing) path it is given
 * if there is none.
 */
export async function cached(
  name: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const path = cacheFolder(name);
  if (existing(path) !== null) return path;
  return await locked(`${cacheFolder("locks")}/${name.replaceAll("/", "_")}`, async () => {
    if (existing(path) !== null) return path;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const unfinished = `${path}.unfinished`;
    // Left by a process that was killed: the lock is ours, so nobody is writing there.
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

/** How many entries of one kind are kept: enough to go back and forth between two branches. */
const ENTRIES_KEPT = 3;

/**
 * Removes all but the newest entries of the cache folder `kind` whose name begins with `prefix`.
 */
export async function keepNewest(kind: string, prefix: string): Promise<void> {
  const folder = cacheFolder(kind);
  const entries = [...Deno.readDirSync(folder)]
    .filter(({ name }) => name.startsWith(prefix) && !name.includes("."))
    .map(({ name }) => ({ name, time: timeOf(`${folder}/${name}`) }))
    .sort((a, b) => b.time - a.time);
  for (const { name } of entries.slice(ENTRIES_KEPT)) await removeTree(`${folder}/${name}`);
}

/** Modification time in ms; 0 when somebody else has removed it meanwhile. */
function timeOf(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch {
    return 0;
  }
}

/** Removes a file or a folder with all in it; nothing there is fine. */
export async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
