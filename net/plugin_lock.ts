import { O, type System, system as realSystem } from "../ffi/mod.ts";
import type { PluginConf } from "./conf.ts";

/** How often a lock that somebody else holds is tried again. Milliseconds. */
const RETRY_MS = 3;
/**
 * Plugins that look whether a firewall's chain or table is there and make it if not, in two steps:
 * two of them at once disturb each other.
 */
const FIREWALL_TYPES = new Set(["firewall", "portmap"]);

/** What holding the lock takes. */
export interface LockHost {
  readonly system?: System;
  readonly lockFile: string;
  readonly signal?: AbortSignal;
}

/** Whether a plugin must not run beside another that writes firewall rules. Pure. */
export function writesFirewall({ type, ipMasq }: PluginConf): boolean {
  return FIREWALL_TYPES.has(type) || ipMasq === true;
}

/**
 * Runs a plugin, alone among those of the whole host that write firewall rules if it is one of them.
 * The kernel drops the lock when this process dies.
 * @throws the reason of `signal` while it waits.
 */
export async function withPluginLock<T>(
  plugin: PluginConf,
  host: LockHost,
  work: () => Promise<T>,
): Promise<T> {
  if (!writesFirewall(plugin)) return await work();
  const system = host.system ?? realSystem;
  Deno.mkdirSync(host.lockFile.slice(0, host.lockFile.lastIndexOf("/")), { recursive: true });
  const fd = system.open(host.lockFile, O.RDWR | O.CREAT, 0o600);
  try {
    while (!system.tryLock(fd)) {
      host.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return await work();
  } finally {
    system.close(fd);
  }
}
