import assert from "node:assert/strict";
import { columns, format, resultTable } from "./table.ts";
import { resultOf, rowOf } from "./testing.ts";

Deno.test("values have three significant digits and at most two decimals", () => {
  assert.equal(format(1234.5, "ms"), "1235 ms");
  assert.equal(format(45.67, "MiB"), "45.7 MiB");
  assert.equal(format(0.1234, "s"), "0.12 s");
  assert.equal(format(2, "ratio"), "2.00");
});

Deno.test("the table shows goals beside their rows, met or missed", () => {
  const table = resultTable(resultOf([
    rowOf("floor", 1000),
    rowOf("boot/floor", 2.5, { unit: "ratio", goal: 2, met: false }),
    rowOf("instructions/ready", 300, { unit: "M", goal: 310, met: true }),
  ]));
  const lines = table.split("\n").map((line) => line.replaceAll(/ {2,}/g, "|"));
  assert.deepEqual(lines.slice(2), [
    "|n|min|median|max|goal",
    "floor|3|900 ms|1000 ms|1100 ms",
    "boot/floor|3|2.25|2.50|2.75|≤ 2|MISSED",
    "instructions/ready|3|270 M|300 M|330 M|≤ 310 M|met",
    "",
  ]);
});

Deno.test("columns are aligned", () => {
  assert.equal(columns([["", "n", ""], ["long", "10", "x"]]), "       n\nlong  10  x\n");
});
