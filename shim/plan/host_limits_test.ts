import assert from "node:assert/strict";
import {
  cgroupFiles,
  largerLimits,
  type LimitedSandbox,
  planHostLimits,
  unitProperties,
  updatedCpu,
} from "./host_limits.ts";
import type { OciResources } from "./oci.ts";

const MIB = 1 << 20;

function limits(resources: OciResources | undefined, other: Partial<LimitedSandbox> = {}) {
  return planHostLimits({
    size: { memoryMib: 384, memoryMibMax: 768, vcpus: 1, vcpusMax: 4 },
    ...{ accelerator: "kvm", resources, isPod: false, memoryFilesBytes: 0, ...other },
  });
}

Deno.test("CPU time is the container's quota and a quarter of a CPU", () => {
  const rows: [OciResources["cpu"], string][] = [
    [{ quota: 50_000, period: 100_000 }, "75000 100000"],
    [{ quota: 50_000 }, "75000 100000"],
    [{ quota: 50_000n, period: 0 }, "75000 100000"],
    [{ quota: 400_000, period: 200_000 }, "450000 200000"],
    [{ quota: 1_000, period: 1_000_000 }, "251000 1000000"],
    // The kernel takes no more than a second.
    [{ quota: 5_000_000, period: 10_000_000 }, "750000 1000000"],
    [{ quota: -1, period: 100_000 }, "max"],
    [{ quota: 0 }, "max"],
    [{}, "max"],
    [undefined, "max"],
  ];
  for (const [cpu, expected] of rows) {
    const resources = cpu === undefined ? {} : { cpu };
    assert.equal(new Map(cgroupFiles(limits(resources))).get("cpu.max"), expected);
  }
  assert.equal(limits(undefined).cpu, null);
});

Deno.test("memory is what the VM may grow to, and what shim, QEMU and helpers take", () => {
  assert.equal(limits({}).memoryBytes, (768 + 256) * MIB);
  assert.equal(limits({}, { accelerator: "tcg" }).memoryBytes, (768 + 1280) * MIB);
  assert.equal(limits({}, { memoryFilesBytes: 7 }).memoryBytes, (768 + 256) * MIB + 7);
  assert.equal(limits({}).pids, 1028);
});

Deno.test("a pod has the limits of its parent, and one of its own for threads", () => {
  const pod = limits({ cpu: { quota: 50_000 } }, { isPod: true });
  assert.deepEqual(cgroupFiles(pod), [
    ["cpu.max", "max"],
    ["memory.max", "max"],
    ["pids.max", "4100"],
  ]);
  assert.deepEqual(unitProperties(pod), ["CPUQuota=", "MemoryMax=infinity", "TasksMax=4100"]);
});

Deno.test("systemd gets the same limits as properties", () => {
  assert.deepEqual(unitProperties(limits({ cpu: { quota: 33_333, period: 50_000 } })), [
    ...["CPUQuota=92%", "CPUQuotaPeriodSec=50000us", `MemoryMax=${1024 * MIB}`, "TasksMax=1028"],
  ]);
});

Deno.test("an update changes what it names", () => {
  const before: OciResources = { memory: { limit: 5 }, cpu: { quota: 50_000, period: 100_000 } };
  const after = (update: OciResources) => updatedCpu(before, update);
  assert.deepEqual(after({ cpu: { quota: 70_000 } }).cpu, { quota: 70_000, period: 100_000 });
  assert.deepEqual(after({ cpu: { quota: 0, period: 0, shares: 9 } }).cpu, {
    ...{ quota: 50_000, period: 100_000, shares: 9 },
  });
  assert.deepEqual(after({ cpu: { quota: -1 } }).cpu, { quota: -1, period: 100_000 });
  assert.deepEqual(after({ memory: { limit: 9 } }), before);
  assert.deepEqual(updatedCpu(undefined, {}), { cpu: {} });
});

Deno.test("the larger of two limits is the larger of each", () => {
  const [half, one, none] = [{ quota: 50_000 }, { quota: 200_000, period: 200_000 }, {}].map((
    cpu,
  ) => limits({ cpu }));
  assert.deepEqual(largerLimits(half!, one!).cpu, one!.cpu);
  assert.deepEqual(largerLimits(one!, half!).cpu, one!.cpu);
  assert.deepEqual(largerLimits(none!, half!).cpu, null);
  assert.equal(largerLimits(half!, { ...half!, memoryBytes: null }).memoryBytes, null);
});
