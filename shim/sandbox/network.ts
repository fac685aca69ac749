import type { NetworkFacts } from "../lease/network_facts.ts";
import type { OnHost } from "../base/on_host.ts";
import type { System } from "../../ffi/mod.ts";
import {
  checkAttachments,
  type CheckedAttachment,
  collectGarbageOnce,
  detachAll,
  type GuestNetwork,
  type NetnsUsers,
  type NetworkHost,
  removeNetns,
  type SandboxNetwork,
} from "../../net/mod.ts";
import type { guest, MessageInitShape } from "../../proto/mod.ts";
import type { NicPlan } from "../../qemu/mod.ts";
import type { Logger } from "../base/log.ts";
import { type SandboxName, vmName } from "../base/names.ts";

/** The surroundings of net/. Plugins carry the VM's name, by which stray ones are found. */
export function networkHost(
  facts: NetworkFacts,
  name: SandboxName,
  context: {
    system: System;
    log: Logger;
    onHost?: OnHost;
    signal?: AbortSignal;
    others?: NetnsUsers;
    spoofing?: NetworkHost["spoofing"];
  },
): NetworkHost {
  const { system, log, onHost, signal, others, spoofing } = context;
  return {
    system,
    owner: name,
    containerId: facts.containerId,
    netnsPath: facts.netns,
    storePath: facts.storePath,
    warn: (line) => log.warn(line),
    ...(spoofing === undefined ? {} : { spoofing }),
    ...(others === undefined ? {} : { others }),
    chain: {
      system,
      path: facts.pluginPath,
      lockFile: facts.lockFile,
      environment: { QEMUBOX_VM: vmName(name) },
      log: (line) => log.info(line),
      ...(onHost === undefined ? {} : { onHost }),
      ...(signal === undefined ? {} : { signal }),
    },
  };
}

/**
 * Detaches a sandbox without processes, and removes its network namespace.
 *
 * @returns what failed. Everything is tried.
 */
export async function undoNetwork(
  system: System,
  facts: NetworkFacts,
  name: SandboxName,
  onHost: OnHost = (work) => work(),
): Promise<Error[]> {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const { storePath, chain } = networkHost(facts, name, { system, log, onHost });
  try {
    const failures = await detachAll(name, storePath, chain);
    // Plugins that failed need it for the next try.
    if (failures.length === 0) onHost(() => removeNetns(system, facts.netns));
    return failures;
  } catch (error) {
    return [error as Error];
  }
}

/** Asks the plugins, from the store alone, whether a sandbox's networks are as they left them. */
export async function checkNetwork(
  system: System,
  facts: NetworkFacts,
  name: SandboxName,
  log: Logger,
): Promise<CheckedAttachment[]> {
  const { storePath, chain } = networkHost(facts, name, { system, log });
  return await checkAttachments(name, storePath, chain);
}

/**
 * Lets the plugins of a sandbox's networks release what belongs to nobody: see
 * `collectGarbageOnce`. Logs failures.
 *
 * @returns a promise that resolves when it is done, and never rejects.
 */
export async function collectNetworkGarbage(
  facts: NetworkFacts,
  name: SandboxName,
  context: { system: System; log: Logger; onHost: OnHost; signal: AbortSignal },
): Promise<void> {
  const { storePath, chain } = networkHost(facts, name, context);
  const failures = await collectGarbageOnce(name, storePath, chain)
    .catch((error) => [error as Error]);
  if (context.signal.aborted) return;
  for (const { message } of failures) context.log.warn(`network garbage collection: ${message}`);
}

/** Returns the request that sets up the guest's network. Pure. */
export function networkRequestOf(
  { interfaces }: Pick<GuestNetwork, "interfaces">,
  sysctls: Readonly<Record<string, string>>,
): MessageInitShape<typeof guest.ConfigureNetworkRequestSchema> {
  return {
    sysctls: { ...sysctls },
    interfaces: interfaces.map(({ deviceMac, name, mac, mtu, addresses, routes, neighbours }) => ({
      deviceMac,
      name,
      mac,
      mtu,
      addresses: addresses.map((address) => ({ ...address })),
      routes: routes.map(({ destination, gateway, source, metric, mtu, onlink, family }) => ({
        destination: destination?.address ?? "",
        prefixLength: destination?.prefixLength ?? 0,
        gateway: gateway ?? "",
        source: source ?? "",
        metric,
        mtu,
        onlink,
        ipv6: family === AF_INET6,
      })),
      neighbours: neighbours.map((neighbour) => ({ ...neighbour })),
    })),
  };
}

const AF_INET6 = 10;

/** Returns the network devices that QEMU gets. */
export function nicPlans({ nics }: Pick<SandboxNetwork, "nics">): NicPlan[] {
  return nics.map(({ deviceMac, tap, vhost }) => ({
    mac: deviceMac,
    tap,
    ...(vhost === null ? {} : { vhost }),
  }));
}
