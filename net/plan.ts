import { type ConfFolder, findNetwork, type NetworkConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import type { NetworkRequest } from "./request.ts";

/** Where networks come from; what an administrator sets. */
export interface NetworkSettings {
  readonly confDir: string;
  /** Folders of plugins. */
  readonly path: readonly string[];
  /** The network of containers that ask for none; null: `qemubox-net`, if there is one. */
  readonly network: string | null;
}

/** How a sandbox comes to its network. */
export type NetworkPlan =
  /** Loopback alone. `warning` says why, when nobody asked for that. */
  | { readonly kind: "none"; readonly warning: string | null }
  /** The namespace at a path, with all that is in it. */
  | { readonly kind: "existing"; readonly netns: string }
  /** A namespace of its own, into which others put what they like before it is looked at. */
  | { readonly kind: "own" }
  /** A namespace of its own, attached to networks: the first as eth0, and so on. */
  | {
    readonly kind: "cni";
    readonly networks: readonly NetworkConf[];
    /** For the first network. */
    readonly capabilityArgs: Readonly<Record<string, unknown>>;
  };

/** The network of containers when nobody says otherwise. */
export const DEFAULT_NETWORK = "qemubox-net";
/** What folders of plugins are when nobody says: upstream's, Debian's and Fedora's. */
export const DEFAULT_PLUGIN_PATH = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"] as const;

/**
 * Decides. Pure.
 * @throws {NetworkError} `config` for a network that is asked for and is not there, and when a
 *   container asks for networks and already has a namespace.
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
      `the specification names network namespace ${netns}, and an annotation networks ` +
        `${networks.join(", ")}; only one of the two can be`,
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
