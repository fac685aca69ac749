import { listIfPresent } from "../base/mod.ts";
import * as z from "zod";

/** Where libcni, which other runtimes call plugins with, keeps what is attached. */
export const LIBCNI_CACHE = "/var/lib/cni/results";
/** A file that is larger is none of libcni's. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Of libcni's `cachedInfo` (libcni/api.go), what is asked for here. */
const CACHED = z.looseObject({ networkName: z.string() });

/**
 * A file of libcni's cache that tells of an attachment to a network, null when there is none. One
 * that may be of this network and cannot be read counts.
 */
export function attachedByOthers(network: string, folder: string): string | null {
  for (const name of listIfPresent(folder).map(({ name }) => name).sort()) {
    // <network>-<container>-<interface>; both of the first may have hyphens.
    if (!name.startsWith(`${network}-`)) continue;
    const cached = CACHED.safeParse(contentOf(`${folder}/${name}`));
    if (!cached.success || cached.data.networkName === network) return `${folder}/${name}`;
  }
  return null;
}

/** Null for what cannot be read. */
function contentOf(path: string): unknown {
  try {
    if (Deno.statSync(path).size > FILE_BYTES_MAX) return null;
    return JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return null;
  }
}
