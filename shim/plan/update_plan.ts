import { MIB } from "../../base/mod.ts";
import type { Any } from "../../proto/mod.ts";
import { GUEST_OVERHEAD_MIB, memoryWithin, type VmSize } from "../../qemu/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { type OciResources, typedJson } from "./oci.ts";
import { dropCpuset } from "./spec_plan.ts";

/** Largest LinuxResources of an update. */
export const RESOURCES_BYTES_MAX = 256 * 1024;
const CPU_PERIOD_DEFAULT_US = 100_000;

/**
 * Checks new limits of a running container. Limits beyond the size that its VM may grow to are
 * refused. Pure. See "Linux resources" in the OCI runtime specification, config-linux.md.
 *
 * @throws RefusedError `invalid` for what is not a LinuxResources, `host` with the VM's size for
 * limits that are too large.
 */
export function planUpdate(id: string, resources: Any | undefined, size: VmSize): OciResources {
  const what = `update of container ${id}:`;
  const plan = typedJson(resources, "LinuxResources", RESOURCES_BYTES_MAX, what) as OciResources;
  const limit = amount(plan.memory?.limit, `${what} memory.limit`);
  const memory = size.memoryMibMax - GUEST_OVERHEAD_MIB;
  if (limit > memory * MIB) {
    throw new RefusedError(
      "host",
      `${what} memory.limit of ${Math.ceil(limit / MIB)} MiB`,
      `is more than its VM has: ${size.memoryMibMax} MiB, ${GUEST_OVERHEAD_MIB} of them for the ` +
        "guest itself",
      `give at most ${memory} MiB, or create the container with more`,
    );
  }
  const quota = amount(plan.cpu?.quota, `${what} cpu.quota`);
  const period = amount(plan.cpu?.period, `${what} cpu.period`) || CPU_PERIOD_DEFAULT_US;
  if (quota > period * size.vcpusMax) {
    throw new RefusedError(
      "host",
      `${what} cpu.quota of ${(quota / period).toFixed(2)} vCPUs`,
      `is more than its VM has: ${size.vcpusMax}`,
      "create the container with more",
    );
  }
  dropCpuset(plan);
  return plan;
}

/**
 * Memory that the VM of a container with these limits needs, in MiB; null: its memory limit does
 * not change. Pure.
 */
export function memoryFor({ memory }: OciResources, { memoryMibMax }: VmSize): number | null {
  if (typeof memory?.limit !== "number" && typeof memory?.limit !== "bigint") return null;
  return memoryWithin({ memory }, memoryMibMax);
}

/** 0 for no limit: absent, null, 0 and negative. */
function amount(value: unknown, field: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new RefusedError("invalid", field, "is not a number");
  }
  return Math.max(Number(value), 0);
}
