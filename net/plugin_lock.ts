import type { PluginConf } from "./conf.ts";
import { type LockTaker, withFileLock } from "./file_lock.ts";

/**
 * Plugins that look whether a firewall's chain or table is there and make it if not, in two steps:
 * two of them at once disturb each other.
 */
const FIREWALL_TYPES = new Set(["firewall", "portmap"]);

/** What holding the lock takes. */
export interface LockHost extends LockTaker {
  readonly lockFile: string;
}

/**
 * Returns the file that is locked while an attachment is recorded in the store, and while garbage is
 * collected. It lists the networks whose garbage has been collected, one per line. Like `lockFile` it
 * is in the run directory, and so is gone after a reboot. Pure.
 */
export function gcFile({ lockFile }: Pick<LockHost, "lockFile">): string {
  return `${lockFile}.gc`;
}

/** Returns whether a plugin must not run beside another one that writes firewall rules. Pure. */
export function writesFirewall({ type, ipMasq }: PluginConf): boolean {
  return FIREWALL_TYPES.has(type) || ipMasq === true;
}

/**
 * Runs a plugin, alone among those of the whole host that write firewall rules if it is one of them.
 * @throws as `withFileLock`.
 */
export async function withPluginLock<T>(
  plugin: PluginConf,
  host: LockHost,
  work: () => Promise<T>,
): Promise<T> {
  if (!writesFirewall(plugin)) return await work();
  return await withFileLock(host.lockFile, host, work);
}
