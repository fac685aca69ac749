import { formatHosts, formatResolvConf, type GuestNetwork } from "../../net/mod.ts";
import type { OciSpec } from "./oci.ts";

/** A file that is sent into the guest's bundle. */
export interface BundleFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** As other runtimes mount these: writable, private to the container. */
const MOUNT_OPTIONS = ["rbind", "rprivate", "rw"];

/**
 * Adds /etc/hostname, /etc/hosts and, for a container on a network, /etc/resolv.conf, unless its
 * specification mounts its own there. Pure.
 *
 * @param spec as `planSpec` made it for the guest.
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
