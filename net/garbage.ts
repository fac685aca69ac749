import { listAttachments } from "./attachments.ts";
import { type ChainHost, collectGarbage } from "./chain.ts";
import type { NetworkConf } from "./conf.ts";
import { withFileLock } from "./file_lock.ts";
import { attachedByOthers, LIBCNI_CACHE } from "./libcni_cache.ts";
import { gcFile } from "./plugin_lock.ts";
import type { Owner } from "./store.ts";

/** Timeout of a plugin, in milliseconds: containers that start meanwhile wait for it. */
const PLUGIN_TIMEOUT_MS = 5_000;

/**
 * Runs GC for the networks that a sandbox is attached to, once per network and boot of the host. It
 * releases what plugins hold for no attachment in the store (the store was lost, or a plugin forgot
 * to release it).
 *
 * It skips a network that another runtime uses as well, according to libcni's cache, since that
 * runtime's containers are not in the store. For a runtime that does not keep that cache, set
 * `disableGC` in the configuration.
 *
 * @returns the failures; a failed GC is not retried, unless it was aborted.
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
      // `note` waits for the lock, so an attachment that is not in the store does not exist.
      await withFileLock(gcFile(host), host, () => collectOnce(conf, storePath, host));
    } catch (error) {
      failures.push(error as Error);
    }
  }
  return failures;
}

/** Host of a garbage collection. */
export interface GarbageHost extends ChainHost {
  /** Directory where libcni records attachments of other runtimes; default: LIBCNI_CACHE. */
  readonly libcniCache?: string;
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
      host.log?.(`skipping GC of network ${conf.name}: another runtime uses it, see ${other}`);
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
