import { type ConfFolder, findNetwork, type NetworkConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import type { NetworkRequest } from "./request.ts";

/** An administrator's settings for networks. */
export interface NetworkSettings {
  /** Directory of CNI configurations. */
  readonly confDir: string;
  /** Directories of plugins. */
  readonly path: readonly string[];
  /** Network of containers that name none; null: `qemubox-net`, if it exists. */
  readonly network: string | null;
}

/** How a sandbox gets its network. */
export type NetworkPlan =
  /** Loopback only. `warning` says why, unless the container asked for that. */
  | { readonly kind: "none"; readonly warning: string | null }
  /** The namespace at a path, with everything in it. */
  | { readonly kind: "existing"; readonly netns: string }
  /** A namespace of its own, in which others make interfaces before its state is read. */
  | { readonly kind: "own" }
  /** A namespace of its own, attached to networks: the first as eth0, and so on. */
  | {
    readonly kind: "cni";
    readonly networks: readonly NetworkConf[];
    /** For the first network. */
    readonly capabilityArgs: Readonly<Record<string, unknown>>;
  };

/** Network of containers by default. */
export const DEFAULT_NETWORK = "qemubox-net";
/** Directories of plugins by default: upstream's, Debian's and Fedora's. */
export const DEFAULT_PLUGIN_PATH = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"] as const;

/**
 * Decides how a sandbox gets its network. Pure over `readFolder`.
 *
 * @throws {NetworkError} `config` for a requested network that does not exist, and for a container
 *   that names networks and already has a namespace.
 */
export function planNetwork(
  settings: NetworkSettings,
  request: NetworkRequest,
  readFolder: (path: string) => ConfFolder,
): NetworkPlan {
  const { networks, netns, isPopulated, capabilityArgs } = request;
  if (networks !== null && networks.length === 0) return { kind: "none", warning: null };
  if (netns !== null) {
    if (networks === null) return { kind: "existing", netns };
    throw new NetworkError(
      "config",
      `specification has network namespace ${netns} and an annotation has networks ` +
        `${networks.join(", ")}; use only one of the two`,
    );
  }
  if (networks === null && isPopulated) return { kind: "own" };
  const folder = readFolder(settings.confDir);
  const named = networks ?? (settings.network === null ? null : [settings.network]);
  if (named === null && !folder.networks.some(({ name }) => name === DEFAULT_NETWORK)) {
    const [broken] = folder.broken;
    if (broken !== undefined) throw broken;
    return { kind: "none", warning: nothingInstalled(folder) };
  }
  const found = (named ?? [DEFAULT_NETWORK]).map((name) => findNetwork(folder, name));
  return { kind: "cni", networks: found, capabilityArgs };
}

function nothingInstalled({ path, networks }: ConfFolder): string {
  const others = networks.map(({ name }) => name).join(", ");
  return `no CNI network ${DEFAULT_NETWORK} in ${path}` +
    (others === "" ? "" : ` (there: ${others})`) +
    ": the container has loopback only; see docs/CNI_SETUP.md, or set QEMUBOX_CNI_NETWORK";
}
