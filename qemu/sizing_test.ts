import assert from "node:assert/strict";
import fc from "fast-check";
import { MIB } from "../base/mod.ts";
import {
  GUEST_OVERHEAD_MIB,
  type HostSize,
  hostSize,
  type Resources,
  type SizeSettings,
  sizeVm,
  type VmSize,
} from "./sizing.ts";

const HOST: HostSize = { memoryMib: 16_000, cpus: 8 };
const NO_SETTINGS: SizeSettings = {
  defaultVcpus: 1,
  defaultMemoryMib: 512,
  vcpus: null,
  vcpusMax: null,
  memoryMib: null,
  memoryMibMax: null,
};

interface Row {
  readonly name: string;
  readonly memory?: NonNullable<Resources["memory"]>;
  readonly cpu?: NonNullable<Resources["cpu"]>;
  readonly host?: Partial<HostSize>;
  readonly settings?: Partial<SizeSettings>;
  /** Difference from 768 MiB and one vCPU. */
  readonly size?: Partial<VmSize>;
}

const TABLE: readonly Row[] = [
  { name: "no limits and no settings" },
  { name: "no limit as -1", memory: { limit: -1 }, cpu: { quota: -1, period: 100_000 } },
  { name: "no limit as 0", memory: { limit: 0 }, cpu: { quota: 0, period: 0 } },
  { name: "64 MiB", memory: { limit: 64 * MIB }, size: { memoryMib: 384 } },
  { name: "100 MiB", memory: { limit: 100 * MIB }, size: { memoryMib: 384 } },
  { name: "one byte over a step", memory: { limit: 128 * MIB + 1 }, size: { memoryMib: 512 } },
  { name: "1 GiB as bigint", memory: { limit: 1024n * 1024n * 1024n }, size: { memoryMib: 1280 } },
  { name: "all of the host", memory: { limit: 16_000 * MIB }, size: { memoryMib: 16_000 } },
  { name: "more than the host", memory: { limit: 64_000 * MIB }, size: { memoryMib: 16_000 } },
  {
    name: "unlimited in cgroup v1",
    memory: { limit: 9223372036854771712n },
    size: { memoryMib: 16_000 },
  },
  { name: "tiny host", host: { memoryMib: 500, cpus: 1 }, size: { memoryMib: 384 } },
  { name: "half a CPU", cpu: { quota: 50_000, period: 100_000 } },
  { name: "one and a half", cpu: { quota: 150_000, period: 100_000 }, size: { vcpus: 2 } },
  { name: "no period", cpu: { quota: 300_000 }, size: { vcpus: 3 } },
  { name: "period 0", cpu: { quota: 300_000, period: 0 }, size: { vcpus: 3 } },
  { name: "short period", cpu: { quota: 20_000n, period: 10_000n }, size: { vcpus: 2 } },
  { name: "quota beyond the host", cpu: { quota: 9_900_000, period: 100_000 }, size: { vcpus: 8 } },
  {
    name: "quota beyond CONFIG_NR_CPUS",
    cpu: { quota: 9_900_000 },
    host: { cpus: 128 },
    size: { vcpus: 64 },
  },
  { name: "a cpuset alone", cpu: { cpus: "0-3" } },
  { name: "quota within the cpuset", cpu: { quota: 200_000, cpus: "0-3" }, size: { vcpus: 2 } },
  { name: "quota beyond the cpuset", cpu: { quota: 600_000, cpus: "1,4-5" }, size: { vcpus: 3 } },
  { name: "quota beyond one CPU", cpu: { quota: 600_000, cpus: "7" } },
  { name: "an invalid cpuset", cpu: { quota: 600_000, cpus: "all" }, size: { vcpus: 6 } },
  { name: "a cpuset with a reversed range", cpu: { quota: 600_000, cpus: "3-1" } },
  { name: "an empty cpuset", cpu: { quota: 600_000, cpus: "" }, size: { vcpus: 6 } },
  {
    name: "another default",
    settings: { defaultVcpus: 3, defaultMemoryMib: 1024 },
    size: { vcpus: 3, memoryMib: 1280 },
  },
  {
    name: "another default beside limits",
    memory: { limit: 100 * MIB },
    cpu: { quota: 100_000 },
    settings: { defaultVcpus: 3, defaultMemoryMib: 1024 },
    size: { memoryMib: 384 },
  },
  {
    name: "room to grow",
    memory: { limit: 100 * MIB },
    settings: { memoryMibMax: 1000 },
    size: { memoryMib: 384, memoryMibMax: 1280 },
  },
  { name: "room to grow to less than the size at first", settings: { memoryMibMax: 100 } },
  {
    name: "room to grow to more than the host has",
    settings: { memoryMibMax: 64_000 },
    size: { memoryMibMax: 16_000 },
  },
  {
    name: "explicit settings",
    settings: { vcpus: 2, memoryMib: 300 },
    size: { vcpus: 2, memoryMib: 640 },
  },
  {
    name: "explicit settings win over limits, above and below",
    memory: { limit: 2048 * MIB },
    cpu: { quota: 100_000 },
    settings: { vcpus: 4, memoryMib: 100 },
    size: { vcpus: 4, memoryMib: 384 },
  },
  { name: "vCPUs to grow to", settings: { vcpusMax: 4 }, size: { vcpusMax: 4 } },
  {
    name: "room to grow beyond a quota",
    cpu: { quota: 200_000 },
    settings: { vcpusMax: 4 },
    size: { vcpus: 2, vcpusMax: 4 },
  },
  {
    name: "room to grow beyond the host, and the cpuset",
    cpu: { cpus: "0-4" },
    settings: { vcpusMax: 64 },
    size: { vcpusMax: 5 },
  },
  {
    name: "room for fewer vCPUs than at first",
    settings: { vcpus: 3, vcpusMax: 2 },
    size: { vcpus: 3, vcpusMax: 3 },
  },
  {
    name: "explicit settings beyond the host and the cpuset",
    cpu: { cpus: "0-2" },
    settings: { vcpus: 64, memoryMib: 64_000 },
    size: { vcpus: 3, memoryMib: 16_000 },
  },
];

for (const { name, memory, cpu, host, settings, size } of TABLE) {
  Deno.test(`sizeVm: ${name}`, () => {
    const found = sizeVm({ memory, cpu }, { ...HOST, ...host }, { ...NO_SETTINGS, ...settings });
    const { vcpus = 1, memoryMib = 768 } = size ?? {};
    const least = { memoryMib, memoryMibMax: memoryMib, vcpus, vcpusMax: vcpus };
    assert.deepEqual(found, { ...least, ...size });
  });
}

Deno.test("without resources the VM has the default size", () => {
  for (const resources of [null, undefined, {}]) {
    const size = { memoryMib: 768, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 };
    assert.deepEqual(sizeVm(resources, HOST, NO_SETTINGS), size);
  }
});

Deno.test("sizeVm never exceeds the host, whatever the resources are", () => {
  const number = fc.option(fc.double(), { nil: undefined });
  fc.assert(fc.property(number, number, number, (limit, quota, period) => {
    const resources = { memory: { limit }, cpu: { quota, period } };
    const { memoryMib, vcpus } = sizeVm(resources, HOST, NO_SETTINGS);
    assert(memoryMib % 128 === 0 && memoryMib >= 128 && memoryMib <= HOST.memoryMib);
    const room = (memoryMib - GUEST_OVERHEAD_MIB) * MIB;
    const isLimit = Number.isFinite(limit) && limit! >= 1;
    assert(!isLimit || room >= limit! || memoryMib === HOST.memoryMib);
    assert(Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= HOST.cpus);
  }));
});

Deno.test("hostSize returns the size of this host", () => {
  const { memoryMib, cpus } = hostSize();
  assert(memoryMib > 0 && cpus > 0);
});
