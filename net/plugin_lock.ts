import type { PluginConf } from "./conf.ts";
import { type LockTaker, withFileLock } from "./file_lock.ts";

/**
 * Plugins that check for a firewall's chain or table and then create it, in two steps: two of them
 * at once break each other.
 */
const FIREWALL_TYPES = new Set(["firewall", "portmap"]);

/**
 * Runs a plugin. If it writes firewall rules, no other such plugin of this host runs at the same
 * time.
 *
 * @throws as `withFileLock`, and what `work` throws.
 */
export async function withPluginLock<T>(
  plugin: PluginConf,
  host: LockHost,
  work: () => Promise<T>,
): Promise<T> {
  if (!writesFirewall(plugin)) return await work();
  return await withFileLock(host.lockFile, host, work);
}

/** What `withPluginLock` uses. */
export interface LockHost extends LockTaker {
  /** File that is locked while a plugin writes firewall rules. */
  readonly lockFile: string;
}

/**
 * Returns the file that is locked while an attachment is recorded in the store, and while garbage
 * is collected. It lists the networks whose garbage has been collected, one per line. Like
 * `lockFile` it is in the run directory, and so is gone after a reboot. Pure.
 */
export function gcFile({ lockFile }: Pick<LockHost, "lockFile">): string {
  return `${lockFile}.gc`;
}

/** Returns whether a plugin must not run beside another one that writes firewall rules. Pure. */
function writesFirewall({ type, ipMasq }: PluginConf): boolean {
  return FIREWALL_TYPES.has(type) || ipMasq === true;
}
