import { listIfPresent } from "../base/mod.ts";
import * as z from "zod";

/** Where libcni, with which other runtimes call plugins, records attachments. */
export const LIBCNI_CACHE = "/var/lib/cni/results";
/** Larger files are not libcni's. */
const FILE_BYTES_MAX = 1024 * 1024;

/** The part of libcni's `cachedInfo` (libcni/api.go) that is used here. */
const CACHED = z.looseObject({ networkName: z.string() });

/**
 * Returns a file of libcni's cache that records an attachment to a network, or null if there is
 * none. A file that may be of this network and cannot be read counts.
 *
 * @throws Deno.errors.* if the directory exists but cannot be read.
 */
export function attachedByOthers(network: string, directory: string): string | null {
  for (const name of listIfPresent(directory).map(({ name }) => name).sort()) {
    // <network>-<container>-<interface>; network and container may have hyphens.
    if (!name.startsWith(`${network}-`)) continue;
    const cached = CACHED.safeParse(contentOf(`${directory}/${name}`));
    if (!cached.success || cached.data.networkName === network) return `${directory}/${name}`;
  }
  return null;
}

/** Returns null if the file cannot be read or is not JSON. */
function contentOf(path: string): unknown {
  try {
    if (Deno.statSync(path).size > FILE_BYTES_MAX) return null;
    return JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return null;
  }
}
