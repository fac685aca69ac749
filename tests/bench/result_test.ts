import assert from "node:assert/strict";
import { parseResult } from "./result.ts";
import { resultOf, rowOf } from "./testing.ts";

Deno.test("a kept result is parsed as it was written", () => {
  const result = resultOf([
    rowOf("floor", 1000),
    rowOf("boot/floor", 2, { unit: "ratio", goal: 2, met: true }),
  ]);
  assert.deepEqual(parseResult(JSON.stringify(result), "kept.json"), result);
});

Deno.test("a wrong result is refused with the file and the place in it", () => {
  const result = resultOf([rowOf("floor", 1000)]);
  const wrong: [unknown, RegExp][] = [
    [{ ...result, machine: { ...result.machine, cpus: "two" } }, /kept.json .*: machine.cpus: /],
    [{ ...result, rows: [{ ...result.rows[0], unit: "hours" }] }, /kept.json .*: rows.0.unit: /],
    [{ ...result, rows: [{ ...result.rows[0], n: 0 }] }, /kept.json .*: rows.0.n: /],
    [{ rows: [] }, /kept.json .*: machine: /],
    [[], /kept.json is not a result/],
  ];
  for (const [value, message] of wrong) {
    assert.throws(() => parseResult(JSON.stringify(value), "kept.json"), message);
  }
  assert.throws(() => parseResult("{", "kept.json"), /kept.json is not JSON/);
});
