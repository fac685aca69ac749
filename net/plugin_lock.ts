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

/** Whether a plugin must not run beside another that writes firewall rules. Pure. */
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
