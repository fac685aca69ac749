import { isProcess, type Pid, type System } from "../../ffi/mod.ts";
import { attachedOwners } from "../../net/mod.ts";
import type { Config } from "../config/config.ts";
import { type LeaseFacts, readLease } from "../lease/lease.ts";
import type { Logger } from "../base/log.ts";
import { RESERVED_FOLDERS, type SandboxName, sandboxPaths } from "../base/names.ts";
import { undoNetwork } from "../sandbox/network.ts";
import { undoLease } from "./undo.ts";
import { networkFacts } from "../lease/network_facts.ts";
import type { OnHost } from "../base/on_host.ts";

/**
 * Undoes, in the background, what sandboxes of dead shims left that containerd will never ask to
 * delete, because their bundles are gone. Whatever it cannot do, it logs.
 * @returns when it is done; never rejects.
 */
export async function reconcile(
  system: System,
  config: Pick<Config, "runDir" | "stateDir" | "cniBinDir">,
  log: Logger,
  onHost?: OnHost,
): Promise<void> {
  try {
    for (const folder of leaseFolders(config.runDir)) {
      const facts = readLease(folder);
      if (facts === null || !isForgotten(facts)) continue;
      log.warn(`reconcile: removing what ${facts.namespace}/${facts.id} left`);
      for (const failure of await undoLease(system, facts, folder, onHost)) {
        log.error(`reconcile: ${facts.namespace}/${facts.id}: ${failure.message}`);
      }
    }
    await reconcileNetworks(system, config, log, onHost);
  } catch (error) {
    log.error(`reconcile: ${(error as Error).message}`);
  }
}

/** Attachments outlive a reboot, leases do not: whose lease is gone has nobody else to detach it. */
async function reconcileNetworks(
  system: System,
  config: Pick<Config, "runDir" | "stateDir" | "cniBinDir">,
  log: Logger,
  onHost?: OnHost,
): Promise<void> {
  const factsOf = (name: SandboxName) => networkFacts(config, sandboxPaths(config, name), name);
  const { storePath } = factsOf({ namespace: "", id: "" });
  for (const owner of attachedOwners(storePath)) {
    if (mayBeThere(sandboxPaths(config, owner).lease)) continue;
    log.warn(`reconcile: detaching ${owner.namespace}/${owner.id} from its networks`);
    for (const failure of await undoNetwork(system, factsOf(owner), owner, onHost)) {
      log.error(`reconcile: ${owner.namespace}/${owner.id}: ${failure.message}`);
    }
  }
}

/** Its shim is dead, or never wrote itself down, and containerd has removed the bundle. */
export function isForgotten(facts: LeaseFacts): boolean {
  const { shim, bundle } = facts;
  if (shim !== null && isProcess(shim.pid as Pid, shim.startTime)) return false;
  return !mayBeThere(bundle);
}

/** What cannot be looked at is taken for being there: nothing of it is removed. */
function mayBeThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function leaseFolders(runDir: string): string[] {
  return folders(runDir)
    .filter((namespace) => !RESERVED_FOLDERS.has(namespace))
    .flatMap((namespace) =>
      folders(`${runDir}/${namespace}`).map((id) => `${runDir}/${namespace}/${id}`)
    );
}

function folders(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter((one) => one.isDirectory).map((one) => one.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
