import { MIB } from "../../base/mod.ts";
import type { Accelerator, VmSize } from "../../qemu/mod.ts";
import type { OciResources } from "./oci.ts";

/** Limits of a sandbox's cgroup on the host: shim, QEMU and helpers together. */
export interface HostLimits {
  /** Microseconds of CPU time in each period; null: no limit. */
  readonly cpu: { readonly quotaUs: number; readonly periodUs: number } | null;
  /** null: no limit. */
  readonly memoryBytes: number | null;
  /** Processes and threads. */
  readonly pids: number;
}

/** CPUs for shim, QEMU's own threads and virtiofsd, besides the container's quota. */
export const HOST_CPU_OVERHEAD = 0.25;
/**
 * Memory for shim, QEMU and helpers, besides the VM's, in MiB. Caches of files count only until the
 * kernel drops them. QEMU's emulation keeps translated code, at most a GiB.
 */
export const HOST_MEMORY_OVERHEAD_MIB: Readonly<Record<Accelerator, number>> = {
  kvm: 256,
  tcg: 256 + 1024,
};
/** Threads of shim, QEMU and helpers, with CNI plugins and a logger beside them. */
const PIDS = 1024;
/** Each container of a pod may have a logger, whose threads are not ours to count. */
const PIDS_OF_POD = 4096;
const CPU_PERIOD_DEFAULT_US = 100_000;
/** Bounds of the kernel: cgroup-v2.rst, "CPU"; a quota has at least a millisecond. */
const CPU_PERIOD_MIN_US = 1_000, CPU_PERIOD_MAX_US = 1_000_000, CPU_QUOTA_MIN_US = 1_000;

/** What the limits of a sandbox are for. */
export interface LimitedSandbox {
  readonly size: VmSize;
  readonly accelerator: Accelerator;
  /** Limits of the container. */
  readonly resources: OciResources | undefined;
  /**
   * Whether containers join it, whose limits and volumes nobody knows yet: CPU and memory are
   * limited by the parent then, the pod's cgroup of the kubelet.
   */
  readonly isPod: boolean;
  /** What the guest may write to file systems of the host that are in memory. */
  readonly memoryFilesBytes: number;
}

/**
 * Returns the limits that hold on the host, whatever the guest does in its own cgroups. They leave
 * room for what is not the container, so that QEMU is not killed when the guest has used up its
 * memory. Memory is that which the VM may grow to. Pure.
 */
export function planHostLimits(
  { size, accelerator, resources, isPod, memoryFilesBytes }: LimitedSandbox,
): HostLimits {
  const mib = size.memoryMibMax + HOST_MEMORY_OVERHEAD_MIB[accelerator];
  return {
    cpu: isPod ? null : cpuLimit(resources),
    memoryBytes: isPod ? null : mib * MIB + memoryFilesBytes,
    pids: (isPod ? PIDS_OF_POD : PIDS) + size.vcpusMax,
  };
}

function cpuLimit(resources: OciResources | undefined): HostLimits["cpu"] {
  const quota = Number(resources?.cpu?.quota ?? 0);
  const period = Number(resources?.cpu?.period ?? 0) || CPU_PERIOD_DEFAULT_US;
  if (!(quota > 0) || !(period > 0)) return null;
  const periodUs = Math.min(Math.max(period, CPU_PERIOD_MIN_US), CPU_PERIOD_MAX_US);
  const cpus = quota / period + HOST_CPU_OVERHEAD;
  return { quotaUs: Math.max(Math.ceil(cpus * periodUs), CPU_QUOTA_MIN_US), periodUs };
}

/**
 * Returns a container's limits after an update, which leaves out what stays as it is (OCI runtime
 * specification, `update`). Pure.
 */
export function updatedCpu(
  before: OciResources | undefined,
  update: OciResources,
): OciResources {
  const cpu = { ...before?.cpu, ...withoutEmpty(update.cpu ?? {}) };
  return { ...before, cpu };
}

/** The kernel takes 0 for "as it was". */
function withoutEmpty(cpu: NonNullable<OciResources["cpu"]>): NonNullable<OciResources["cpu"]> {
  return Object.fromEntries(
    Object.entries(cpu).filter(([_, value]) =>
      value !== undefined && value !== null && value !== 0
    ),
  );
}

/** Returns limits as large as either. Pure. */
export function largerLimits(one: HostLimits, other: HostLimits): HostLimits {
  const cpus = ({ cpu }: HostLimits) => cpu === null ? Infinity : cpu.quotaUs / cpu.periodUs;
  return {
    cpu: cpus(one) >= cpus(other) ? one.cpu : other.cpu,
    memoryBytes: one.memoryBytes === null || other.memoryBytes === null
      ? null
      : Math.max(one.memoryBytes, other.memoryBytes),
    pids: Math.max(one.pids, other.pids),
  };
}

/** Returns the files of a cgroup (v2) and what to write into each. Pure. */
export function cgroupFiles({ cpu, memoryBytes, pids }: HostLimits): readonly [string, string][] {
  return [
    ["cpu.max", cpu === null ? "max" : `${cpu.quotaUs} ${cpu.periodUs}`],
    ["memory.max", String(memoryBytes ?? "max")],
    ["pids.max", String(pids)],
  ];
}

/** Returns the properties of a systemd unit: systemd.resource-control(5). Pure. */
export function unitProperties({ cpu, memoryBytes, pids }: HostLimits): readonly string[] {
  return [
    ...(cpu === null ? ["CPUQuota="] : [
      `CPUQuota=${Math.ceil((cpu.quotaUs / cpu.periodUs) * 100)}%`,
      `CPUQuotaPeriodSec=${cpu.periodUs}us`,
    ]),
    `MemoryMax=${memoryBytes ?? "infinity"}`,
    `TasksMax=${pids}`,
  ];
}
