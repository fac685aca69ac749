import { listAttachments } from "./attachments.ts";
import { type ChainHost, collectGarbage } from "./chain.ts";
import type { NetworkConf } from "./conf.ts";
import { withFileLock } from "./file_lock.ts";
import { attachedByOthers, LIBCNI_CACHE } from "./libcni_cache.ts";
import { gcFile } from "./plugin_lock.ts";
import type { Owner } from "./store.ts";

/** How long a plugin may take: whoever starts a container meanwhile waits for it. Milliseconds. */
const PLUGIN_TIMEOUT_MS = 5_000;

/** The surroundings of a garbage collection. */
export interface GarbageHost extends ChainHost {
  /** Where libcni keeps what other runtimes have attached; default LIBCNI_CACHE. */
  readonly libcniCache?: string;
}

/**
 * GC of the networks that a sandbox is attached to, each of them once between two boots of the host:
 * what plugins hold for none of the attachments in the store (of a store that was lost, of a plugin
 * that forgot) is released.
 *
 * Not of a network that another runtime is on as well, as far as libcni's cache shows: its containers
 * are not in the store. Where one does not keep that cache, `disableGC` in the configuration says it.
 *
 * @returns what failed; it is not tried again, unless it was called off.
 */
export async function collectGarbageOnce(
  owner: Owner,
  storePath: string,
  host: GarbageHost,
): Promise<Error[]> {
  const failures: Error[] = [];
  for (const { conf } of listAttachments(storePath, owner)) {
    if (conf.disableGC || conf.cniVersion !== "1.1.0") continue;
    try {
      // Nobody notes an attachment meanwhile: what is not in the store then is not there.
      await withFileLock(gcFile(host), host, () => collectOnce(conf, storePath, host));
    } catch (error) {
      failures.push(error as Error);
    }
  }
  return failures;
}

async function collectOnce(
  conf: NetworkConf,
  storePath: string,
  host: GarbageHost,
): Promise<void> {
  const { onHost = (work) => work(), libcniCache = LIBCNI_CACHE } = host;
  const done = Deno.readTextFileSync(gcFile(host)).split("\n");
  if (done.includes(conf.name)) return;
  try {
    const other = onHost(() => attachedByOthers(conf.name, libcniCache));
    if (other !== null) {
      host.log?.(`no GC of network ${conf.name}: another runtime is on it, see ${other}`);
      return;
    }
    const valid = listAttachments(storePath).filter((each) => each.conf.name === conf.name);
    await collectGarbage(conf, valid, { ...host, timeoutMs: PLUGIN_TIMEOUT_MS });
  } finally {
    if (host.signal?.aborted !== true) {
      Deno.writeTextFileSync(gcFile(host), `${conf.name}\n`, { append: true });
    }
  }
}
