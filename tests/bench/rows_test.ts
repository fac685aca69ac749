import assert from "node:assert/strict";
import { missed, rowsOf } from "./rows.ts";
import { goalOf, GOALS, RATIOS } from "./goals.ts";

const TCG = { accelerator: "tcg" } as const;

Deno.test("measured rows come first, then their ratios", () => {
  const rows = rowsOf([
    { name: "floor", unit: "ms", rounds: [[100], [110], [120]] },
    { name: "boot", unit: "ms", rounds: [[200], [200], [300]] },
    { name: "create", unit: "ms", rounds: [] },
  ], TCG);
  assert.deepEqual(rows.map(({ name, n, median }) => ({ name, n, median })), [
    { name: "floor", n: 3, median: 110 },
    { name: "boot", n: 3, median: 200 },
    { name: "boot/floor", n: 3, median: 1.818 },
  ]);
  assert.deepEqual(rows.map(({ goal, met }) => ({ goal, met })), [
    { goal: null, met: null },
    { goal: null, met: null },
    { goal: 2, met: true },
  ]);
});

Deno.test("a median above its goal misses it, one at it meets it", () => {
  const at = (boot: number) =>
    missed(rowsOf([
      { name: "floor", unit: "ms", rounds: [[100]] },
      { name: "boot", unit: "ms", rounds: [[boot]] },
    ], TCG)).map(({ name }) => name);
  assert.deepEqual(at(200), []);
  assert.deepEqual(at(201), ["boot/floor"]);
});

Deno.test("goals hold only for their accelerator", () => {
  assert.equal(goalOf("memory-private-per-vm", { accelerator: "kvm" }), 40);
  assert.equal(goalOf("memory-private-per-vm", TCG), null);
  assert.equal(goalOf("guest-memory-used", TCG), 80);
  assert.equal(goalOf("floor", TCG), null);
});

Deno.test("every goal for a ratio names an existing ratio", () => {
  const names = RATIOS.map(({ name }) => name);
  for (const { row, unit } of GOALS) if (unit === "ratio") assert(names.includes(row), row);
});
