import { memoryWithin, type VmSize } from "../../qemu/mod.ts";
import type { Config } from "../config/config.ts";
import type { OciResources } from "./oci.ts";

/** When something that a VM has grows, and shrinks again. */
export interface GrowthRules {
  /** Percentage of a second in which tasks in the guest stalled on it. */
  readonly growPercent: number;
  readonly cooldownMs: number;
}

/** What a VM grows by itself, without an update of limits. */
export interface GrowthPlan {
  /** When vCPUs come and go by load; null: they do not. */
  readonly byLoad: GrowthRules | null;
  /** When memory comes and goes by pressure, and how much of it; null: it does not. */
  readonly memoryByPressure: GrowthRules & { readonly mostMib: number } | null;
}

/** Decides what grows in a VM of this size. A CPU quota or a memory limit bounds it. Pure. */
export function planGrowth(
  { vcpus, vcpusMax, memoryMib, memoryMibMax }: VmSize,
  resources: OciResources | undefined,
  config: Config,
): GrowthPlan {
  const mostMib = memoryWithin(resources, memoryMibMax);
  const hasQuota = Number(resources?.cpu?.quota ?? 0) > 0;
  return {
    byLoad: vcpus < vcpusMax && !hasQuota
      ? { growPercent: config.vcpusGrowPercent, cooldownMs: config.vcpusCooldownMs }
      : null,
    memoryByPressure: memoryMib < mostMib
      ? { growPercent: config.memoryGrowPercent, cooldownMs: config.memoryCooldownMs, mostMib }
      : null,
  };
}
