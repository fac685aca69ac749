import assert from "node:assert/strict";
import fc from "fast-check";
import { type Any, cgroups, packAny, runcOptions, unpackAny } from "../../proto/mod.ts";
import { checkedProcesses, checkedStats } from "./guest_answers.ts";
import { GuestError } from "./guest_error.ts";

const typeUrl = cgroups.MetricsSchema.typeName;
const detailsOf = (execId: string) => packAny(runcOptions.ProcessDetailsSchema, { execId });
const process = (pid: number, info?: Any) => ({ pid, ...(info === undefined ? {} : { info }) });

Deno.test("exec processes are listed with their exec id, others without", () => {
  const listed = checkedProcesses(
    [
      process(1),
      process(7, detailsOf("e1")),
      process(8, detailsOf("made-up")),
      process(9, { ...detailsOf("e1"), typeUrl: "x" }),
    ] as never,
    (execId) => execId === "e1",
  );
  assert.deepEqual(listed.map(({ pid }) => pid), [1, 7, 8, 9]);
  assert.deepEqual(listed.map(({ info }) => info !== undefined), [false, true, false, false]);
  assert.equal(unpackAny(runcOptions.ProcessDetailsSchema, listed[1]!.info!).execId, "e1");
});

Deno.test("more processes than a kernel has are hostile", () => {
  const processes = Array.from({ length: 32_769 }, (_, pid) => process(pid)) as never[];
  assert.equal(checkedProcesses(processes.slice(1), () => false).length, 32_768);
  assert.throws(() => checkedProcesses(processes, () => false), {
    kind: "hostile",
    message: "guest listed 32769 processes, more than 32768",
  });
});

Deno.test("metrics keep the fields of their type", () => {
  const stats = packAny(cgroups.MetricsSchema, { pids: { current: 3n, limit: 7n } });
  // Field 1000, which no metrics have: a varint of 1.
  const more = { ...stats, value: Uint8Array.of(...stats.value, 0xc0, 0x3e, 1) };
  assert.deepEqual(checkedStats(more), stats);
});

Deno.test("absent, oversized, foreign and malformed metrics are hostile", () => {
  const any = (value: Uint8Array, type: string = typeUrl) => ({ typeUrl: type, value }) as Any;
  const cases: [Any | undefined, RegExp][] = [
    [undefined, /^guest sent no metrics$/],
    [any(new Uint8Array(256 * 1024 + 1)), /^guest sent 262145 bytes of metrics, more than 262144$/],
    [
      any(new Uint8Array(), "x.Y"),
      /^guest sent malformed metrics: expected .*Metrics, found "x\.Y"/,
    ],
    [any(Uint8Array.of(0xff)), /^guest sent malformed metrics: /],
  ];
  for (const [stats, message] of cases) {
    assert.throws(() => checkedStats(stats), { name: "GuestError", kind: "hostile", message });
  }
});

Deno.test("any bytes are metrics or hostile", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (value) => {
    try {
      checkedStats({ typeUrl, value } as Any);
    } catch (error) {
      assert.ok(error instanceof GuestError && error.kind === "hostile", String(error));
    }
  }));
});
