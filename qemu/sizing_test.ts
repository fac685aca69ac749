import assert from "node:assert/strict";
import fc from "fast-check";
import { type HostSize, hostSize, type Resources, sizeVm, type VmSize } from "./sizing.ts";

const HOST: HostSize = { memoryMib: 16_000, cpus: 8 };
const MIB = 1024 * 1024;

const TABLE: [string, Resources | null, VmSize, HostSize?][] = [
  ["nothing asked", null, { memoryMib: 768, vcpus: 1 }],
  ["empty resources", {}, { memoryMib: 768, vcpus: 1 }],
  ["no limit as -1", { memory: { limit: -1 }, cpu: { quota: -1, period: 100_000 } }, {
    memoryMib: 768,
    vcpus: 1,
  }],
  ["64 MiB", { memory: { limit: 64 * MIB } }, { memoryMib: 384, vcpus: 1 }],
  ["one byte over a step", { memory: { limit: 128 * MIB + 1 } }, { memoryMib: 512, vcpus: 1 }],
  ["1 GiB as bigint", { memory: { limit: 1024n * 1024n * 1024n } }, { memoryMib: 1280, vcpus: 1 }],
  ["more than the host", { memory: { limit: 64_000 * MIB } }, { memoryMib: 16_000, vcpus: 1 }],
  ["unlimited in cgroup v1", { memory: { limit: 9223372036854771712n } }, {
    memoryMib: 16_000,
    vcpus: 1,
  }],
  ["tiny host", null, { memoryMib: 384, vcpus: 1 }, { memoryMib: 500, cpus: 1 }],
  ["half a processor", { cpu: { quota: 50_000, period: 100_000 } }, { memoryMib: 768, vcpus: 1 }],
  ["one and a half", { cpu: { quota: 150_000, period: 100_000 } }, { memoryMib: 768, vcpus: 2 }],
  ["no period", { cpu: { quota: 300_000 } }, { memoryMib: 768, vcpus: 3 }],
  ["period 0", { cpu: { quota: 300_000, period: 0 } }, { memoryMib: 768, vcpus: 3 }],
  ["short period", { cpu: { quota: 20_000n, period: 10_000n } }, { memoryMib: 768, vcpus: 2 }],
  ["more than there are", { cpu: { quota: 9_900_000, period: 100_000 } }, {
    memoryMib: 768,
    vcpus: 8,
  }],
];

for (const [name, resources, expected, host] of TABLE) {
  Deno.test(`size of a machine: ${name}`, () => {
    assert.deepEqual(sizeVm(resources, host ?? HOST), expected);
  });
}

Deno.test("whatever is asked, the size is one that the host has", () => {
  const number = fc.option(fc.double(), { nil: undefined });
  fc.assert(fc.property(number, number, number, (limit, quota, period) => {
    const { memoryMib, vcpus } = sizeVm({ memory: { limit }, cpu: { quota, period } }, HOST);
    assert(memoryMib % 128 === 0 && memoryMib >= 128 && memoryMib <= HOST.memoryMib);
    assert(Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= HOST.cpus);
  }));
});

Deno.test("this host has a size", () => {
  const { memoryMib, cpus } = hostSize();
  assert(memoryMib > 0 && cpus > 0);
});
