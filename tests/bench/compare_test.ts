import assert from "node:assert/strict";
import { compare, comparisonTable } from "./compare.ts";
import { resultOf, rowOf } from "./testing.ts";

const BEFORE = resultOf([rowOf("floor", 1000), rowOf("boot", 4000), rowOf("gone", 1)]);
const AFTER = resultOf([rowOf("new", 1), rowOf("floor", 1050), rowOf("boot", 2000)]);

Deno.test("compare pairs rows, and marks a change beyond both spreads as clear", () => {
  assert.deepEqual(
    compare(BEFORE, AFTER).map(({ name, change, clear }) => ({ name, change, clear })),
    [
      { name: "new", change: null, clear: false },
      { name: "floor", change: 0.050000000000000044, clear: false },
      { name: "boot", change: -0.5, clear: true },
      { name: "gone", change: null, clear: false },
    ],
  );
});

Deno.test("the table shows both medians and the change", () => {
  const lines = comparisonTable(BEFORE, AFTER).split("\n").map((line) =>
    line.replaceAll(/ {2,}/g, "|")
  );
  assert(lines.includes("boot|4000 ms|2000 ms|−50.0 %|clear"), lines.join("\n"));
  assert(lines.includes("new|–|1.00 ms"), lines.join("\n"));
});

Deno.test("a row with another unit is not compared", () => {
  const [change] = compare(
    resultOf([rowOf("floor", 1)]),
    resultOf([rowOf("floor", 1, { unit: "s" })]),
  );
  assert.equal(change!.change, null);
});
