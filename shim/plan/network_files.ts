import { formatHosts, formatResolvConf, type GuestNetwork } from "../../net/mod.ts";
import type { OciSpec } from "./oci.ts";

/** A file that travels into the guest's bundle. */
export interface BundleFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** How other runtimes mount these: writable, for the container alone. */
const MOUNT_OPTIONS = ["rbind", "rprivate", "rw"];

/**
 * Gives a container /etc/hostname, /etc/hosts and, when it is on a network, /etc/resolv.conf, unless
 * its specification mounts its own there. Pure.
 * @param spec already fit for the guest.
 */
export function withNetworkFiles(
  spec: OciSpec,
  hostname: string,
  { interfaces, resolver }: GuestNetwork,
): { spec: OciSpec; files: BundleFile[] } {
  const addresses = interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  const contents = {
    "hostname": `${hostname}\n`,
    "hosts": formatHosts(hostname, addresses),
    ...(interfaces.length === 0 ? {} : { "resolv.conf": formatResolvConf(resolver) }),
  };
  const taken = new Set((spec.mounts ?? []).map(({ destination }) => destination));
  const wanted = Object.entries(contents).filter(([name]) => !taken.has(`/etc/${name}`));
  const mounts = wanted.map(([name]) => ({
    destination: `/etc/${name}`,
    type: "bind",
    // Relative to the bundle.
    source: name,
    options: MOUNT_OPTIONS,
  }));
  return {
    spec: { ...spec, mounts: [...(spec.mounts ?? []), ...mounts] },
    files: wanted.map(([name, text]) => ({ name, content: new TextEncoder().encode(text) })),
  };
}
