import { MIB } from "../base/mod.ts";
import { MEMORY_MIB_MIN, VCPUS_MAX } from "./limits.ts";

/** Memory for the guest's kernel and vminitd (70 MB), besides the container's. */
export const GUEST_OVERHEAD_MIB = 256;
const MEMORY_STEP_MIB = 128;
const CPU_PERIOD_DEFAULT_US = 100_000;

/**
 * Returns the size of the VM for a container. Pure.
 *
 * Its memory is what the container may use (the setting, the limit or the default) plus what the
 * guest itself takes, rounded up to 128 MiB, and never more than the host has. Its vCPUs are those
 * of the setting, or the quota rounded up, or the default, and never more than the host has CPUs
 * and the container may run on. Memory and vCPUs to grow to follow the settings, within the same
 * bounds.
 *
 * The guest enforces the container's limits; the VM only has to be large enough.
 */
export function sizeVm(
  resources: Resources | null | undefined,
  host: HostSize,
  settings: SizeSettings,
): VmSize {
  const cpuset = cpusetSize(resources?.cpu?.cpus) ?? Infinity;
  const capped = (cpus: number) => Math.max(1, Math.min(cpus, cpuset, host.cpus, VCPUS_MAX));
  const vcpus = capped(settings.vcpus ?? quotaCpus(resources) ?? settings.defaultVcpus);
  const containerMib = settings.memoryMib ?? limitMib(resources) ?? settings.defaultMemoryMib;
  return {
    memoryMib: vmMib(containerMib, host),
    memoryMibMax: vmMib(Math.max(containerMib, settings.memoryMibMax ?? 0), host),
    vcpus,
    vcpusMax: Math.max(vcpus, capped(settings.vcpusMax ?? vcpus)),
  };
}

/**
 * Returns the memory that a VM which may grow to `mostMib` needs for its container's limit, in MiB:
 * all of it if there is no limit. Pure.
 */
export function memoryWithin(resources: Resources | null | undefined, mostMib: number): number {
  const limit = limitMib(resources);
  return limit === null ? mostMib : vmMib(limit, { memoryMib: mostMib });
}

/** Returns the memory limit in MiB, rounded up; null if there is none. Pure. */
export function limitMib(resources: Resources | null | undefined): number | null {
  const limit = positive(resources?.memory?.limit);
  return limit === null ? null : Math.ceil(limit / MIB);
}

/** Returns the size of this host. */
export function hostSize(): HostSize {
  return {
    memoryMib: Math.floor(Deno.systemMemoryInfo().total / MIB),
    cpus: navigator.hardwareConcurrency,
  };
}

/** Size of a VM. */
export interface VmSize {
  /** Memory that it may use at first. */
  readonly memoryMib: number;
  /** Memory that it boots with and may grow to; a balloon holds the rest. */
  readonly memoryMibMax: number;
  /** vCPUs online after the boot. */
  readonly vcpus: number;
  /** vCPUs that may be brought online later. */
  readonly vcpusMax: number;
}

/** The part of an OCI specification's linux.resources that sizes a VM. */
export interface Resources {
  readonly memory?: { readonly limit?: number | bigint | undefined } | undefined;
  readonly cpu?: {
    /** Microseconds per period; 0 or less: no limit. */
    readonly quota?: number | bigint | undefined;
    /** Microseconds; 0: the kernel's 100 ms. */
    readonly period?: number | bigint | undefined;
    /** CPUs of the host that it may run on: "0-3,8". */
    readonly cpus?: string | undefined;
  } | undefined;
}

/** Settings that size a VM, besides the specification. */
export interface SizeSettings {
  /** vCPUs for a container without a quota. */
  readonly defaultVcpus: number;
  /** Memory for a container without a limit. */
  readonly defaultMemoryMib: number;
  /** vCPUs in place of the quota; null: by the quota. */
  readonly vcpus: number | null;
  /** vCPUs that it may grow to; null: it does not grow. */
  readonly vcpusMax: number | null;
  /** Memory in place of the limit; null: by the limit. */
  readonly memoryMib: number | null;
  /** Memory that the container may grow to; null: it does not grow. */
  readonly memoryMibMax: number | null;
}

/** Size of a host. */
export interface HostSize {
  readonly memoryMib: number;
  readonly cpus: number;
}

function vmMib(containerMib: number, host: Pick<HostSize, "memoryMib">): number {
  const wanted = roundUp(containerMib + GUEST_OVERHEAD_MIB, MEMORY_STEP_MIB);
  const most = Math.floor(host.memoryMib / MEMORY_STEP_MIB) * MEMORY_STEP_MIB;
  return Math.max(Math.min(wanted, most), MEMORY_MIB_MIN);
}

/** Returns the quota in CPUs, rounded up; null if there is none. */
function quotaCpus(resources: Resources | null | undefined): number | null {
  const quota = positive(resources?.cpu?.quota);
  const period = positive(resources?.cpu?.period) ?? CPU_PERIOD_DEFAULT_US;
  return quota === null ? null : Math.ceil(quota / period);
}

/** Counts the CPUs of a list (cpuset(7), "List format"); null for no list or an invalid one. */
function cpusetSize(list: string | undefined): number | null {
  if (list === undefined || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) return null;
  return list.split(",").reduce((sum, part) => {
    const [first, last = first] = part.split("-").map(Number);
    return sum + Math.max(0, last! - first! + 1);
  }, 0);
}

function positive(value: number | bigint | undefined): number | null {
  if (value === undefined) return null;
  const number = Number(value);
  return Number.isFinite(number) && number > 0 ? number : null;
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
