import { MEMORY_MIB_MIN, VCPUS_MAX } from "./config.ts";

/** The part of an OCI specification's linux.resources that sizes a machine. */
export interface Resources {
  readonly memory?: { readonly limit?: number | bigint | undefined } | undefined;
  readonly cpu?: {
    /** Microseconds a period; 0 or less: no limit. */
    readonly quota?: number | bigint | undefined;
    /** Microseconds; 0: the kernel's 100 ms. */
    readonly period?: number | bigint | undefined;
  } | undefined;
}

export interface HostSize {
  readonly memoryMib: number;
  readonly cpus: number;
}

export interface VmSize {
  readonly memoryMib: number;
  readonly vcpus: number;
}

export const MEMORY_DEFAULT_MIB = 512;
/** What the guest's kernel and vminitd (70 MB) take from the container. */
export const GUEST_OVERHEAD_MIB = 256;
export const MEMORY_STEP_MIB = 128;
const CPU_PERIOD_DEFAULT_US = 100_000;
const MIB = 1024 * 1024;

/**
 * The size of the machine for a container. Pure. Memory is the limit, or 512 MiB, plus what the
 * guest itself takes, rounded up to 128 MiB, never more than the host has. There are as many vCPUs
 * as the quota rounded up, or one, never more than the host has processors.
 *
 * The limits of the container are enforced in the guest; the machine only has to be large enough.
 */
export function sizeVm(resources: Resources | null | undefined, host: HostSize): VmSize {
  return {
    memoryMib: memoryMib(positive(resources?.memory?.limit), host.memoryMib),
    vcpus: vcpus(positive(resources?.cpu?.quota), positive(resources?.cpu?.period), host.cpus),
  };
}

function memoryMib(limitBytes: number | null, hostMib: number): number {
  const container = limitBytes === null ? MEMORY_DEFAULT_MIB : Math.ceil(limitBytes / MIB);
  const wanted = roundUp(container + GUEST_OVERHEAD_MIB, MEMORY_STEP_MIB);
  const most = Math.floor(hostMib / MEMORY_STEP_MIB) * MEMORY_STEP_MIB;
  return Math.max(Math.min(wanted, most), MEMORY_MIB_MIN);
}

function vcpus(quotaUs: number | null, periodUs: number | null, hostCpus: number): number {
  if (quotaUs === null) return 1;
  const wanted = Math.ceil(quotaUs / (periodUs ?? CPU_PERIOD_DEFAULT_US));
  return Math.max(1, Math.min(wanted, hostCpus, VCPUS_MAX));
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
