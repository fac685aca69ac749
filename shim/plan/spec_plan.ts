import type { OciDevice, OciLinux, OciProcess, OciResources, OciSpec } from "./oci.ts";
import {
  type HostPathKind,
  planVolumes,
  UnsupportedSpecError,
  type Volume,
} from "./volume_plan.ts";
import { HOST_HOOKS } from "./host_hooks.ts";

export { type HostPathKind, UnsupportedSpecError } from "./volume_plan.ts";

/** A specification that is fit for the guest, and what was taken out of it on the way. */
export interface SpecPlan {
  readonly spec: OciSpec;
  /** What of the host the container has mounted. */
  readonly volumes: readonly Volume[];
  /** Path of the network namespace that it names, null when it wants one of its own. */
  readonly netns: string | null;
  /** The network's sysctls, which vminitd sets: crun refuses them without a network namespace. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** One line for each thing that was dropped and that a user may miss. */
  readonly dropped: readonly string[];
}

const HOST_HOOK_KINDS: readonly string[] = [...HOST_HOOKS.create, ...HOST_HOOKS.delete];
/** The virtio-fs that all of a VM's volumes are on, and its image, unless that is on disks. */
export const SHARED_TAG = "qemubox";
/** Where a bundle in the guest has it; guest.proto, Share. */
const SHARED_FOLDER = `shares/${SHARED_TAG}`;
/** What the containers of a pod have as /dev/shm: their guest's own. */
const GUEST_SHARED_MEMORY = "/dev/shm";

/** A container's place in a pod. */
export interface PodPlace {
  /** Its folder of what is shared with the VM; empty for the first container. */
  readonly folder: string;
  /** The namespaces of the pod's first container; null for that one itself. */
  readonly namespaces: {
    /** As paths of this host name them: of the process that stands for all in the VM. */
    readonly hostPid: number;
    /** As the guest knows it. */
    readonly guestPid: number;
  } | null;
}
/** Namespaces that the containers of a pod may have in common; their network they have by their VM. */
const POD_NAMESPACES: ReadonlySet<string> = new Set(["ipc", "uts", "pid"]);

/**
 * Rewrites a specification made for this host into one for the guest:
 *
 * - no network namespace: the container shares the VM's network, which is its own;
 * - namespace paths, cgroup paths and security labels name host objects and are dropped; those of a
 *   pod's sandbox become the guest's;
 * - hooks that would run inside the VM, where their binaries are not, are dropped; hooks.ts has the others;
 * - the sources of bind mounts become what the guest has of them.
 *
 * @param id the container's id; it becomes its cgroup's name in the guest.
 * @param bundle what relative sources of bind mounts start at.
 * @throws UnsupportedSpecError for an empty command, and mounts and devices that a VM cannot have.
 */
export function planSpec(
  host: OciSpec,
  id: string,
  kindOf: (hostPath: string) => HostPathKind,
  bundle = "",
  pod: PodPlace | null = null,
): SpecPlan {
  const spec = structuredClone(host);
  const dropped: string[] = [];
  if (spec.process?.args === undefined || spec.process.args.length === 0) {
    throw new UnsupportedSpecError("process.args of config.json is empty; give a command to run");
  }
  spec.root = { ...spec.root, path: "rootfs" };
  const hooks = Object.keys(spec.hooks ?? {}).filter((kind) => !HOST_HOOK_KINDS.includes(kind));
  if (hooks.length > 0) dropped.push(`hooks ${hooks.join(", ")}: they cannot run inside the VM`);
  delete spec.hooks;
  dropped.push(...dropLabels(spec.process));
  const netns = networkNamespaceOf(host);
  const networkSysctls = takeNetworkSysctls(spec);
  planLinux(spec, id, pod, dropped);
  dropped.push(...dropCpuset(spec.linux?.resources), ...dropWeights(spec.linux?.resources));
  planDevices(spec, dropped);
  checkHugePages(spec);
  const volumes = planVolumes(spec.mounts ?? [], {
    bundle,
    share: pod === null || pod.folder === "" ? SHARED_FOLDER : `${SHARED_FOLDER}/${pod.folder}`,
    sharedMemory: pod === null ? null : GUEST_SHARED_MEMORY,
    kindOf,
  });
  return { spec, volumes, netns, networkSysctls, dropped };
}

/** Takes the labels of security modules out of a process; one line for each that was there. */
export function dropLabels(process: OciProcess): string[] {
  return (["apparmorProfile", "selinuxLabel"] as const).flatMap((label) => {
    const had = process[label];
    delete process[label];
    return had ? [`process.${label}: the guest kernel has no such module`] : [];
  });
}

/** The host's processors and memory nodes mean nothing in the guest; its VM has as many at most. */
export function dropCpuset(resources: OciResources | undefined): string[] {
  const { cpu } = resources ?? {};
  const had = (["cpus", "mems"] as const).filter((key) => cpu?.[key]);
  for (const key of had) delete cpu![key];
  return had.map((key) => `linux.resources.cpu.${key}: the VM is not bound to a part of the host`);
}

/** Weights of single devices, which are the host's. Limits of devices become the guest's own disks'. */
function dropWeights(resources: OciResources | undefined): string[] {
  const { blockIO } = resources ?? {};
  const had = blockIO?.weightDevice?.length;
  delete blockIO?.weightDevice;
  return had ? ["linux.resources.blockIO.weightDevice: the devices are the host's"] : [];
}

/** @throws UnsupportedSpecError for a specification that wants the host's network. */
function networkNamespaceOf(spec: OciSpec): string | null {
  const network = spec.linux?.namespaces?.find(({ type }) => type === "network");
  if (network !== undefined) return network.path || null;
  throw new UnsupportedSpecError(
    "linux.namespaces has no network namespace (--net-host, hostNetwork): a container in a VM has a kernel of " +
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

function planLinux(spec: OciSpec, id: string, pod: PodPlace | null, dropped: string[]): void {
  const linux = spec.linux ??= {};
  linux.cgroupsPath = `/qemubox/${id}`;
  delete linux.mountLabel;
  delete linux.intelRdt;
  linux.namespaces = (linux.namespaces ?? [])
    .filter(({ type }) => type !== "network")
    .map(({ type, path }) => {
      const ofPod = path ? podNamespace(type, path, pod) : null;
      if (ofPod !== null) return { type, path: ofPod };
      if (path) {
        dropped.push(`linux.namespaces: ${type} of ${path} is the host's; a new one is made`);
      }
      return { type };
    });
}

/** The path in the guest of a namespace of the pod's first container; null: it is none of its. */
function podNamespace(type: string, path: string, pod: PodPlace | null): string | null {
  if (pod === null || pod.namespaces === null || !POD_NAMESPACES.has(type)) return null;
  const { hostPid, guestPid } = pod.namespaces;
  return path === `/proc/${hostPid}/ns/${type}` ? `/proc/${guestPid}/ns/${type}` : null;
}

/** Character devices that a guest has, by "major:minor": the kernel's devices.txt. */
const GUEST_DEVICES: ReadonlySet<string> = new Set([
  ...["1:3", "1:5", "1:7", "1:8", "1:9", "1:11"], // null, zero, full, random, urandom, kmsg
  ...["5:0", "5:1", "5:2"], // tty, console, ptmx
  ...["10:200", "10:229"], // net/tun, fuse
]);

/**
 * Devices that no VM has are refused; a privileged container is given all that the host has, and does
 * without them.
 *
 * @throws UnsupportedSpecError
 */
function planDevices({ linux }: OciSpec, dropped: string[]): void {
  const strange = (linux?.devices ?? []).filter((device) => !isInGuest(device));
  const [first, ...others] = strange;
  if (first === undefined) return;
  const { path, type, major, minor } = first;
  const name = `${JSON.stringify(path)} (${type} ${major}:${minor})`;
  if (!isPrivileged(linux!)) {
    throw new UnsupportedSpecError(
      `linux.devices: ${name} is a device of the host, which a container in a VM cannot have; run it ` +
        "without",
    );
  }
  linux!.devices = linux!.devices!.filter(isInGuest);
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  dropped.push(
    `linux.devices: ${name}${more} are the host's; the container is privileged in its VM`,
  );
}

function isInGuest({ type, major, minor }: OciDevice): boolean {
  if (type === "p") return true; // a FIFO, which crun makes
  return (type === "c" || type === "u") && GUEST_DEVICES.has(`${major}:${minor}`);
}

/** May use each device that there is. */
function isPrivileged({ resources }: OciLinux): boolean {
  return (resources?.devices ?? []).some(({ allow, type = "a", major, minor }) =>
    allow && type === "a" && major === undefined && minor === undefined
  );
}

/** Limits of huge pages: Kubernetes always gives them, and they are 0. */
function checkHugePages({ linux }: OciSpec): void {
  const limits = linux?.resources?.hugepageLimits;
  const some = limits?.find(({ limit }) => BigInt(limit) !== 0n);
  if (some !== undefined) {
    throw new UnsupportedSpecError(
      `linux.resources.hugepageLimits: the VM has no huge pages (${some.pageSize})`,
    );
  }
  if (limits !== undefined) delete linux!.resources!.hugepageLimits;
}
