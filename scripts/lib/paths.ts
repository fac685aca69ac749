/** Paths that the scripts use. All are absolute. */

import { ifPresent } from "../../base/mod.ts";

/** Directory of the repository. */
export const REPOSITORY: string = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

/** Directory of build results: the shim, the kernel, the images. */
export const OUTPUT: string = `${REPOSITORY}/_output`;

/**
 * Returns a path below `${XDG_CACHE_HOME:-~/.cache}/qemubox`. Everything there can be deleted; it
 * is made again.
 */
export function cacheFolder(...parts: string[]): string {
  return [userCache(), "qemubox", ...parts].join("/");
}

/** Returns Deno's cache directory, as Deno chooses it. */
export function denoCacheFolder(): string {
  return Deno.env.get("DENO_DIR") || `${userCache()}/deno`;
}

function userCache(): string {
  return Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") || "/root"}/.cache`;
}

/** Returns `path` if it exists (following symbolic links), else null. */
export function existing(path: string): string | null {
  return ifPresent(() => Deno.statSync(path)) === null ? null : path;
}
