import { MIB } from "../base/mod.ts";
import { MEMORY_MIB_MIN, VCPUS_MAX } from "./config.ts";

/** The part of an OCI specification's linux.resources that sizes a machine. */
export interface Resources {
  readonly memory?: { readonly limit?: number | bigint | undefined } | undefined;
  readonly cpu?: {
    /** Microseconds a period; 0 or less: no limit. */
    readonly quota?: number | bigint | undefined;
    /** Microseconds; 0: the kernel's 100 ms. */
    readonly period?: number | bigint | undefined;
    /** The host's processors that it may run on: "0-3,8". */
    readonly cpus?: string | undefined;
  } | undefined;
}

/** What is wished for besides the specification. */
export interface SizeWishes {
  /** For a container without a quota. */
  readonly defaultVcpus: number;
  /** For a container without a limit. */
  readonly defaultMemoryMib: number;
  /** In place of what the quota says; null: what it says. */
  readonly vcpus: number | null;
  /** What it may grow to; null: it does not. */
  readonly vcpusMax: number | null;
  /** In place of what the limit says; null: what it says. */
  readonly memoryMib: number | null;
  /** What the container may grow to; null: it does not. */
  readonly memoryMibMax: number | null;
}

export interface HostSize {
  readonly memoryMib: number;
  readonly cpus: number;
}

export interface VmSize {
  /** What it may use at first. */
  readonly memoryMib: number;
  /** What it may grow to, and boots with: a balloon holds the rest. */
  readonly memoryMibMax: number;
  /** As it boots. */
  readonly vcpus: number;
  /** What may be brought online later. */
  readonly vcpusMax: number;
}

/** What the guest's kernel and vminitd (70 MB) take from the container. */
export const GUEST_OVERHEAD_MIB = 256;
export const MEMORY_STEP_MIB = 128;
const CPU_PERIOD_DEFAULT_US = 100_000;

/**
 * The size of the machine for a container. Pure. Its memory is what the container may use (the wish,
 * the limit or the default) and what the guest itself takes on top, rounded up to 128 MiB, never more
 * than the host has. It has as many vCPUs as the wish says, or the quota rounded up, or the default,
 * never more than the host has processors and the container may run on. As much more memory and as
 * many more vCPUs may be had later as are wished for, within the same bounds.
 *
 * The limits of the container are enforced in the guest; the machine only has to be large enough.
 */
export function sizeVm(
  resources: Resources | null | undefined,
  host: HostSize,
  wishes: SizeWishes,
): VmSize {
  const cpuset = cpusetSize(resources?.cpu?.cpus) ?? Infinity;
  const capped = (cpus: number) => Math.max(1, Math.min(cpus, cpuset, host.cpus, VCPUS_MAX));
  const vcpus = capped(wishes.vcpus ?? quotaCpus(resources) ?? wishes.defaultVcpus);
  const containerMib = wishes.memoryMib ?? limitMib(resources) ?? wishes.defaultMemoryMib;
  return {
    memoryMib: machineMib(containerMib, host),
    memoryMibMax: machineMib(Math.max(containerMib, wishes.memoryMibMax ?? 0), host),
    vcpus,
    vcpusMax: Math.max(vcpus, capped(wishes.vcpusMax ?? vcpus)),
  };
}

/**
 * What a machine that may grow to `mostMib` needs for its container's limit, in MiB: all of it where
 * there is none. Pure.
 */
export function memoryWithin(resources: Resources | null | undefined, mostMib: number): number {
  const limit = limitMib(resources);
  return limit === null ? mostMib : machineMib(limit, { memoryMib: mostMib });
}

function machineMib(containerMib: number, host: Pick<HostSize, "memoryMib">): number {
  const wanted = roundUp(containerMib + GUEST_OVERHEAD_MIB, MEMORY_STEP_MIB);
  const most = Math.floor(host.memoryMib / MEMORY_STEP_MIB) * MEMORY_STEP_MIB;
  return Math.max(Math.min(wanted, most), MEMORY_MIB_MIN);
}

/** A memory limit in MiB; null: there is none. */
export function limitMib(resources: Resources | null | undefined): number | null {
  const limit = positive(resources?.memory?.limit);
  return limit === null ? null : Math.ceil(limit / MIB);
}

/** null: no quota. */
function quotaCpus(resources: Resources | null | undefined): number | null {
  const quota = positive(resources?.cpu?.quota);
  const period = positive(resources?.cpu?.period) ?? CPU_PERIOD_DEFAULT_US;
  return quota === null ? null : Math.ceil(quota / period);
}

/** How many processors a list names (cpuset(7), "List format"); null for none and what is no list. */
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

/** This host's size. */
export function hostSize(): HostSize {
  return {
    memoryMib: Math.floor(Deno.systemMemoryInfo().total / MIB),
    cpus: navigator.hardwareConcurrency,
  };
}
