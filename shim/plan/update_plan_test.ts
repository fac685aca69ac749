import assert from "node:assert/strict";
import fc from "fast-check";
import { AnySchema, Code, create, RpcError } from "../../proto/mod.ts";
import { GUEST_OVERHEAD_MIB } from "../../qemu/mod.ts";
import { memoryFor, planUpdate } from "./update_plan.ts";

const MIB = 1024 * 1024;
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

function refused(code: Code, resources: unknown, type?: string): string {
  try {
    update(resources, type);
  } catch (error) {
    assert.ok(error instanceof RpcError && error.code === code, String(error));
    return error.message;
  }
  return "not refused";
}

Deno.test("limits within the VM go through as they are", () => {
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

Deno.test("processors of the host are none of the guest's", () => {
  assert.deepEqual(update({ cpu: { cpus: "4-7", mems: "1", shares: 2 } }), { cpu: { shares: 2 } });
});

Deno.test("limits beyond the VM are refused with its size", () => {
  const { FailedPrecondition } = Code;
  const memory = refused(FailedPrecondition, { memory: { limit: 512 * MIB + 1 } });
  assert.match(memory, new RegExp(`513 MiB is more than its VM has: ${SIZE.memoryMib} MiB`));
  assert.match(memory, /give at most 512 MiB/);
  assert.match(
    refused(FailedPrecondition, { cpu: { quota: 200_001 } }),
    /2\.00 processors is more than its VM has: 2/,
  );
  assert.match(refused(FailedPrecondition, { cpu: { quota: 30_000, period: 10_000 } }), /3\.00/);
});

Deno.test("what is no resources is refused by name", () => {
  assert.match(refused(Code.InvalidArgument, {}, "WindowsResources"), /found .*WindowsResources/);
  assert.match(
    refused(Code.InvalidArgument, { memory: { limit: "1g" } }),
    /memory\.limit is not a number/,
  );
  assert.throws(() => planUpdate("c1", undefined, SIZE), /there is no LinuxResources/);
});

Deno.test("whatever the JSON, the answer is resources or an RPC status", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (memory, cpu) => {
    try {
      update({ memory, cpu });
    } catch (error) {
      assert.ok(error instanceof RpcError, String(error));
    }
  }));
});

Deno.test("an update of the memory limit says what the VM has to have", () => {
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
