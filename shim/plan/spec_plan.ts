import type { OciDevice, OciLinux, OciProcess, OciResources, OciSpec } from "./oci.ts";
import { type HostPathKind, planVolumes, type Volume } from "./volume_plan.ts";
import { RefusedError } from "../base/refused_error.ts";
import { HOST_HOOKS } from "./host_hooks.ts";

/** A specification made fit for the guest, and what was taken out of it. */
export interface SpecPlan {
  readonly spec: OciSpec;
  /** Files and directories of the host that the container mounts. */
  readonly volumes: readonly Volume[];
  /** Path of the network namespace that it names; null: it wants one of its own. */
  readonly netns: string | null;
  /** Sysctls of the network. vminitd sets them: crun refuses them without a network namespace. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** One line for each dropped field that a user may miss. */
  readonly dropped: readonly string[];
}

const HOST_HOOK_KINDS: readonly string[] = [...HOST_HOOKS.create, ...HOST_HOOKS.delete];
/** Tag of the virtio-fs with all volumes of a VM, and with its image, unless that is on disks. */
export const SHARED_TAG = "qemubox";
/** Where a bundle in the guest mounts it (guest.proto, Share). */
const SHARED_DIRECTORY = `shares/${SHARED_TAG}`;
/** /dev/shm of a pod's containers: the guest's own. */
const GUEST_SHARED_MEMORY = "/dev/shm";

/** A container's place in a pod. */
export interface PodPlace {
  /** Its directory in the share; empty for the first container. */
  readonly directory: string;
  /** Namespaces of the pod's first container; null for that container itself. */
  readonly namespaces: {
    /** Process on this host that stands for all in the VM; paths of namespaces name it. */
    readonly hostPid: number;
    /** Init of the first container, in the guest. */
    readonly guestPid: number;
  } | null;
}
/** Namespaces that a pod's containers may share. They share the network by sharing the VM. */
const POD_NAMESPACES: ReadonlySet<string> = new Set(["ipc", "uts", "pid"]);

/**
 * Rewrites a specification made for this host into one for the guest:
 *
 * - no network namespace: the container uses the VM's network, which is its own;
 * - namespace paths, cgroup paths and security labels name host objects and are dropped; namespaces
 *   of a pod's sandbox become the guest's;
 * - hooks that would run inside the VM, which lacks their binaries, are dropped; host_hooks.ts has
 *   the others;
 * - sources of bind mounts become their places in the guest.
 *
 * @param id the container's id, which names its cgroup in the guest.
 * @param bundle directory that relative sources of bind mounts start at.
 * @throws RefusedError `unsupported` for an empty command, and mounts and devices that a VM cannot
 * have.
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
    const field = "process.args of config.json";
    throw new RefusedError("unsupported", field, "is empty", "give a command to run");
  }
  spec.root = { ...spec.root, path: "rootfs" };
  const hooks = Object.keys(spec.hooks ?? {}).filter((kind) => !HOST_HOOK_KINDS.includes(kind));
  if (hooks.length > 0) dropped.push(`hooks ${hooks.join(", ")} cannot run inside the VM`);
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
    share: pod === null || pod.directory === ""
      ? SHARED_DIRECTORY
      : `${SHARED_DIRECTORY}/${pod.directory}`,
    sharedMemory: pod === null ? null : GUEST_SHARED_MEMORY,
    kindOf,
  });
  return { spec, volumes, netns, networkSysctls, dropped };
}

/** Drops the labels of security modules from a process; returns one line for each. */
export function dropLabels(process: OciProcess): string[] {
  return (["apparmorProfile", "selinuxLabel"] as const).flatMap((label) => {
    const had = process[label];
    delete process[label];
    return had ? [`process.${label}: the guest kernel has no such module`] : [];
  });
}

/** Drops CPU and memory sets, which number those of the host. Returns one line for each. */
export function dropCpuset(resources: OciResources | undefined): string[] {
  const { cpu } = resources ?? {};
  const had = (["cpus", "mems"] as const).filter((key) => cpu?.[key]);
  for (const key of had) delete cpu![key];
  return had.map((key) => `linux.resources.cpu.${key}: the VM is not bound to a part of the host`);
}

/** Drops weights of the host's devices. Limits of devices apply to the guest's own disks. */
function dropWeights(resources: OciResources | undefined): string[] {
  const { blockIO } = resources ?? {};
  const had = blockIO?.weightDevice?.length;
  delete blockIO?.weightDevice;
  return had ? ["linux.resources.blockIO.weightDevice: the devices are the host's"] : [];
}

/** @throws RefusedError `unsupported` for a specification that wants the host's network. */
function networkNamespaceOf(spec: OciSpec): string | null {
  const network = spec.linux?.namespaces?.find(({ type }) => type === "network");
  if (network !== undefined) return network.path || null;
  throw new RefusedError(
    "unsupported",
    "linux.namespaces",
    "has no network namespace (--net-host, hostNetwork), but a container in a VM has a kernel of " +
      "its own and cannot share the host's network",
    "run it without, and publish its ports with the annotation io.qemubox.port-mappings",
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
        dropped.push(`linux.namespaces: ${type} of ${path} is the host's, a new one is made`);
      }
      return { type };
    });
}

/** The path in the guest of a namespace of the pod's first container; null: it is not one. */
function podNamespace(type: string, path: string, pod: PodPlace | null): string | null {
  if (pod === null || pod.namespaces === null || !POD_NAMESPACES.has(type)) return null;
  const { hostPid, guestPid } = pod.namespaces;
  return path === `/proc/${hostPid}/ns/${type}` ? `/proc/${guestPid}/ns/${type}` : null;
}

/** Character devices that a guest has, by "major:minor" of the kernel's devices.txt. */
const GUEST_DEVICES: ReadonlySet<string> = new Set([
  ...["1:3", "1:5", "1:7", "1:8", "1:9", "1:11"], // null, zero, full, random, urandom, kmsg
  ...["5:0", "5:1", "5:2"], // tty, console, ptmx
  ...["10:200", "10:229"], // net/tun, fuse
]);

/**
 * Refuses devices that no VM has. For a privileged container, which lists all devices of the host,
 * it drops them instead.
 *
 * @throws RefusedError `unsupported` naming the device.
 */
function planDevices({ linux }: OciSpec, dropped: string[]): void {
  const strange = (linux?.devices ?? []).filter((device) => !isInGuest(device));
  const [first, ...others] = strange;
  if (first === undefined) return;
  const { path, type, major, minor } = first;
  const name = `${JSON.stringify(path)} (${type} ${major}:${minor})`;
  if (!isPrivileged(linux!)) {
    const why = "is a device of the host, which a container in a VM cannot have";
    throw new RefusedError("unsupported", `linux.devices: ${name}`, why, "run it without");
  }
  linux!.devices = linux!.devices!.filter(isInGuest);
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  dropped.push(
    `linux.devices: ${name}${more} are the host's, the container is privileged in its VM`,
  );
}

function isInGuest({ type, major, minor }: OciDevice): boolean {
  if (type === "p") return true; // crun makes the FIFO
  return (type === "c" || type === "u") && GUEST_DEVICES.has(`${major}:${minor}`);
}

/** Whether the container may use every device. */
function isPrivileged({ resources }: OciLinux): boolean {
  return (resources?.devices ?? []).some(({ allow, type = "a", major, minor }) =>
    allow && type === "a" && major === undefined && minor === undefined
  );
}

/** Kubernetes always sets limits of huge pages, to 0. */
function checkHugePages({ linux }: OciSpec): void {
  const limits = linux?.resources?.hugepageLimits;
  const some = limits?.find(({ limit }) => BigInt(limit) !== 0n);
  if (some !== undefined) {
    const why = `asks for huge pages (${some.pageSize}), and the VM has none`;
    throw new RefusedError("unsupported", "linux.resources.hugepageLimits", why);
  }
  if (limits !== undefined) delete linux!.resources!.hugepageLimits;
}
