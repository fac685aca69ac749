import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { GUEST_OVERHEAD_MIB, type VmSize } from "../../qemu/mod.ts";
import { resolveConfig } from "../config/config.ts";
import { planGrowth } from "./growth_plan.ts";
import type { OciResources } from "./oci.ts";

const CONFIG = resolveConfig({ file: null, environment: {}, annotations: {} });
const FIXED: VmSize = { memoryMib: 512, memoryMibMax: 512, vcpus: 2, vcpusMax: 2 };

const plan = (size: Partial<VmSize>, resources?: OciResources) =>
  planGrowth({ ...FIXED, ...size }, resources, CONFIG);

Deno.test("a VM that is at its largest size does not grow", () => {
  assert.deepEqual(plan({}), { byLoad: null, memoryByPressure: null });
});

Deno.test("vCPUs come and go by load below their maximum, unless a quota bounds them", () => {
  const byLoad = { growPercent: CONFIG.vcpusGrowPercent, cooldownMs: CONFIG.vcpusCooldownMs };
  const unlimited: (OciResources | undefined)[] = [
    undefined,
    {},
    { cpu: {} },
    { cpu: { shares: 2, quota: 0 } },
    { cpu: { quota: -1, period: 100_000 } },
  ];
  for (const resources of unlimited) {
    assert.deepEqual(plan({ vcpus: 1 }, resources).byLoad, byLoad);
  }
  for (const quota of [1, 200_000, 200_000n]) {
    assert.equal(plan({ vcpus: 1 }, { cpu: { quota } }).byLoad, null);
  }
});

Deno.test("memory comes and goes by pressure up to the limit of the container", () => {
  const rules = {
    growPercent: CONFIG.memoryGrowPercent,
    cooldownMs: CONFIG.memoryCooldownMs,
  };
  const size = { memoryMib: 256, memoryMibMax: 1280 };
  assert.deepEqual(plan(size).memoryByPressure, { ...rules, mostMib: 1280 });
  const limited = (mib: number) => plan(size, { memory: { limit: mib * MIB } }).memoryByPressure;
  assert.deepEqual(limited(512), { ...rules, mostMib: 512 + GUEST_OVERHEAD_MIB });
  assert.deepEqual(limited(4096), { ...rules, mostMib: 1280 });
  assert.equal(plan({ ...size, memoryMib: 1280 }).memoryByPressure, null);
});

Deno.test("memory does not grow if the VM has what the container's limit needs", () => {
  const limit = { memory: { limit: 64 * MIB } };
  assert.equal(plan({ memoryMib: 512, memoryMibMax: 1280 }, limit).memoryByPressure, null);
});
