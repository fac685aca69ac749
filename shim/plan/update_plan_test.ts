import assert from "node:assert/strict";
import fc from "fast-check";
import { MIB } from "../../base/mod.ts";
import { AnySchema, create } from "../../proto/mod.ts";
import { GUEST_OVERHEAD_MIB } from "../../qemu/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { assertRefused } from "../testing/refused.ts";
import { memoryFor, planUpdate } from "./update_plan.ts";

const SIZE = {
  memoryMib: 512 + GUEST_OVERHEAD_MIB,
  memoryMibMax: 512 + GUEST_OVERHEAD_MIB,
  vcpus: 1,
  vcpusMax: 2,
};

function update(resources: unknown, type = "LinuxResources") {
  return planUpdate(
    "c1",
    create(AnySchema, {
      typeUrl: `types.containerd.io/opencontainers/runtime-spec/1/${type}`,
      value: new TextEncoder().encode(JSON.stringify(resources)),
    }),
    SIZE,
  );
}

Deno.test("limits within the VM's size pass unchanged", () => {
  for (
    const resources of [
      {},
      { memory: { limit: 512 * MIB, swap: -1 }, pids: { limit: 10 } },
      { memory: { limit: -1 }, cpu: { quota: -1, period: 0 } },
      { cpu: { quota: 200_000, period: 100_000, shares: 512 } },
      { cpu: { quota: 200_000 } },
      { memory: null, cpu: null },
    ]
  ) assert.deepEqual(update(resources), resources);
});

Deno.test("a cpuset is dropped: it numbers the host's CPUs", () => {
  assert.deepEqual(update({ cpu: { cpus: "4-7", mems: "1", shares: 2 } }), { cpu: { shares: 2 } });
});

Deno.test("limits above the VM's size are refused with that size", () => {
  const memory = () => update({ memory: { limit: 512 * MIB + 1 } });
  const size = `${SIZE.memoryMib} MiB, ${GUEST_OVERHEAD_MIB} of them for the guest itself`;
  assertRefused(
    memory,
    "host",
    new RegExp(
      `^update of container c1: memory\\.limit of 513 MiB is more than its VM has: ${size}`,
    ),
  );
  assert.throws(memory, {
    field: "update of container c1: memory.limit of 513 MiB",
    fix: "give at most 512 MiB, or create the container with more",
  });
  assert.equal(
    assertRefused(() => update({ cpu: { quota: 200_001 } }), "host", /cpu\.quota/),
    "update of container c1: cpu.quota of 2.00 vCPUs is more than its VM has: 2: " +
      "create the container with more",
  );
  const quota = { cpu: { quota: 30_000, period: 10_000 } };
  assertRefused(() => update(quota), "host", /cpu\.quota of 3\.00 vCPUs is more than/);
});

Deno.test("anything but a LinuxResources is refused by the container and the field", () => {
  assertRefused(
    () => update({}, "WindowsResources"),
    "invalid",
    /^update of container c1: LinuxResources must be of type .*, found ".*WindowsResources"$/,
  );
  assertRefused(
    () => update({ memory: { limit: "1g" } }),
    "invalid",
    /^update of container c1: memory\.limit is not a number$/,
  );
  assertRefused(
    () => planUpdate("c1", undefined, SIZE),
    "invalid",
    /^update of container c1: LinuxResources is missing$/,
  );
});

Deno.test("any JSON gives resources or a refusal", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (memory, cpu) => {
    try {
      update({ memory, cpu });
    } catch (error) {
      assert.ok(error instanceof RefusedError, String(error));
    }
  }));
});

Deno.test("an update of the memory limit gives the memory that the VM needs", () => {
  const size = { memoryMib: 384, memoryMibMax: 1280, vcpus: 1, vcpusMax: 1 };
  const rows = [
    [{}, null],
    [{ memory: null }, null],
    [{ memory: { reservation: MIB } }, null],
    [{ memory: { limit: 100 * MIB } }, 384],
    [{ memory: { limit: BigInt(129 * MIB) } }, 512],
    [{ memory: { limit: 1024 * MIB } }, 1280],
    [{ memory: { limit: -1 } }, 1280],
    [{ memory: { limit: 0 } }, 1280],
  ] as const;
  for (const [resources, mib] of rows) {
    assert.equal(memoryFor(resources as Parameters<typeof memoryFor>[0], size), mib);
  }
});
