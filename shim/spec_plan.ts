import type { OciMount, OciProcess, OciSpec } from "./oci.ts";

/** A specification that is fit for the guest, and what was taken out of it on the way. */
export interface SpecPlan {
  readonly spec: OciSpec;
  /** Host files whose content goes along into the guest's bundle, by their name in it. */
  readonly files: readonly { readonly hostPath: string; readonly name: string }[];
  /** Path of the network namespace that it names, null when it wants one of its own. */
  readonly netns: string | null;
  /** The network's sysctls, which vminitd sets: crun refuses them without a network namespace. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** One line for each thing that was dropped and that a user may miss. */
  readonly dropped: readonly string[];
}

/** What a bind mount's source is on the host; the planner asks, so that it stays a pure function. */
export type HostPathKind = "file" | "directory" | "missing" | "other";

/** Thrown for a specification that this runtime cannot honour; the message names the field. */
export class UnsupportedSpecError extends Error {
  override readonly name = "UnsupportedSpecError";
}

/**
 * Rewrites a specification made for this host into one for the guest:
 *
 * - no network namespace: the container shares the VM's network, which is its own;
 * - namespace paths, cgroup paths and security labels name host objects and are dropped;
 * - hooks would run inside the VM, where their binaries are not: dropped;
 * - bind mounts of regular files become copies inside the bundle; the mount stays, its source is
 *   the copy's name, relative to the bundle.
 *
 * @param id the container's id; it becomes its cgroup's name in the guest.
 * @throws UnsupportedSpecError for an empty command and for bind mounts of anything but a regular file.
 */
export function planSpec(
  host: OciSpec,
  id: string,
  kindOf: (hostPath: string) => HostPathKind,
): SpecPlan {
  const spec = structuredClone(host);
  const dropped: string[] = [];
  if (spec.process?.args === undefined || spec.process.args.length === 0) {
    throw new UnsupportedSpecError("process.args of config.json is empty; give a command to run");
  }
  spec.root = { ...spec.root, path: "rootfs" };
  if (spec.hooks !== undefined && Object.keys(spec.hooks).length > 0) {
    dropped.push(`hooks ${Object.keys(spec.hooks).join(", ")}: they cannot run inside the VM`);
  }
  delete spec.hooks;
  dropped.push(...dropLabels(spec.process));
  const netns = networkNamespaceOf(host);
  const networkSysctls = takeNetworkSysctls(spec);
  planLinux(spec, id, dropped);
  const files = planMounts(spec.mounts ?? [], kindOf);
  return { spec, files, netns, networkSysctls, dropped };
}

/** Takes the labels of security modules out of a process; one line for each that was there. */
export function dropLabels(process: OciProcess): string[] {
  return (["apparmorProfile", "selinuxLabel"] as const).flatMap((label) => {
    const had = process[label];
    delete process[label];
    return had ? [`process.${label}: the guest kernel has no such module`] : [];
  });
}

/** @throws UnsupportedSpecError for a specification that wants the host's network. */
function networkNamespaceOf(spec: OciSpec): string | null {
  const network = spec.linux?.namespaces?.find(({ type }) => type === "network");
  if (network !== undefined) return network.path || null;
  throw new UnsupportedSpecError(
    "linux.namespaces has no network namespace (--net-host): a container in a VM has a kernel of " +
      "its own and cannot share the host's network; run it without, and publish its ports with " +
      "the annotation io.qemubox.port-mappings",
  );
}

function takeNetworkSysctls({ linux }: OciSpec): Record<string, string> {
  const taken: Record<string, string> = {};
  for (const [name, value] of Object.entries(linux?.sysctl ?? {})) {
    if (!name.startsWith("net.")) continue;
    taken[name] = value;
    delete linux!.sysctl![name];
  }
  return taken;
}

function planLinux(spec: OciSpec, id: string, dropped: string[]): void {
  const linux = spec.linux ??= {};
  linux.cgroupsPath = `/qemubox/${id}`;
  delete linux.mountLabel;
  delete linux.intelRdt;
  linux.namespaces = (linux.namespaces ?? [])
    .filter(({ type }) => type !== "network")
    .map(({ type, path }) => {
      if (path) {
        dropped.push(`linux.namespaces: ${type} of ${path} is the host's; a new one is made`);
      }
      return { type };
    });
}

function planMounts(
  mounts: OciMount[],
  kindOf: (hostPath: string) => HostPathKind,
): SpecPlan["files"] {
  const files: { hostPath: string; name: string }[] = [];
  for (const mount of mounts) {
    if (!isBind(mount)) continue;
    const source = mount.source ?? "";
    const kind = kindOf(source);
    if (kind !== "file") {
      throw new UnsupportedSpecError(
        `mount of ${source || "nothing"} at ${mount.destination}: ` +
          (kind === "missing"
            ? "the source does not exist on the host"
            : "only regular files can be mounted from the host, not a " +
              (kind === "directory" ? "directory" : "device or socket")),
      );
    }
    const name = `file${files.length}-${baseName(source)}`;
    files.push({ hostPath: source, name });
    mount.source = name;
  }
  return files;
}

function isBind(mount: OciMount): boolean {
  return mount.type === "bind" ||
    (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(0, 100);
}
