import { listIfPresent, messageOf } from "../../base/mod.ts";
import { isProcess, type Pid, type System } from "../../ffi/mod.ts";
import { attachedOwners } from "../../net/mod.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../base/log.ts";
import { RESERVED_DIRECTORIES, type SandboxName, sandboxPaths, vmName } from "../base/names.ts";
import type { OnHost } from "../base/on_host.ts";
import { type LeaseFacts, readLease } from "../lease/lease.ts";
import { networkFacts } from "../lease/network_facts.ts";
import { undoNetwork } from "../sandbox/network.ts";
import { undoLease } from "./undo.ts";

/**
 * Removes, in the background, sandboxes of dead shims that containerd will never delete, because
 * their bundles are gone. Logs its failures. Never rejects.
 */
export async function reconcile(
  system: System,
  config: Pick<Config, "runDir" | "stateDir" | "cniBinDir">,
  log: Logger,
  onHost?: OnHost,
): Promise<void> {
  try {
    for (const directory of leaseDirectories(config.runDir)) {
      const facts = readLease(directory);
      if (facts === null || !isForgotten(facts)) continue;
      const sandbox = vmName(facts);
      log.warn("reconcile: removing a sandbox without shim and bundle", { sandbox });
      for (const failure of await undoLease(system, facts, directory, onHost)) {
        log.error(`reconcile: ${failure.message}`, { sandbox });
      }
    }
    await reconcileNetworks(system, config, log, onHost);
  } catch (error) {
    log.error(`reconcile: ${messageOf(error)}`);
  }
}

/** Detaches sandboxes without a lease: attachments outlive a reboot, leases do not. */
async function reconcileNetworks(
  system: System,
  config: Pick<Config, "runDir" | "stateDir" | "cniBinDir">,
  log: Logger,
  onHost?: OnHost,
): Promise<void> {
  const factsOf = (name: SandboxName) => networkFacts(config, sandboxPaths(config, name), name);
  const { storePath } = factsOf({ namespace: "", id: "" });
  for (const owner of attachedOwners(storePath)) {
    if (mayExist(sandboxPaths(config, owner).lease)) continue;
    const sandbox = vmName(owner);
    log.warn("reconcile: detaching a sandbox without lease from its networks", { sandbox });
    for (const failure of await undoNetwork(system, factsOf(owner), owner, onHost)) {
      log.error(`reconcile: ${failure.message}`, { sandbox });
    }
  }
}

/**
 * Returns whether the shim of a sandbox is dead, or is not in the lease yet, and containerd has
 * removed the bundle.
 */
export function isForgotten(facts: LeaseFacts): boolean {
  const { shim, bundle } = facts;
  if (shim !== null && isProcess(shim.pid as Pid, shim.startTime)) return false;
  return !mayExist(bundle);
}

/** Unlike isThere, takes a path that cannot be read for one that exists: nothing is removed. */
function mayExist(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function leaseDirectories(runDir: string): string[] {
  return directories(runDir)
    .filter((namespace) => !RESERVED_DIRECTORIES.has(namespace))
    .flatMap((namespace) =>
      directories(`${runDir}/${namespace}`).map((id) => `${runDir}/${namespace}/${id}`)
    );
}

function directories(path: string): string[] {
  return listIfPresent(path).filter((one) => one.isDirectory).map((one) => one.name);
}
