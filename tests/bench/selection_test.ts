import assert from "node:assert/strict";
import { select } from "./selection.ts";

const MEASURES = [
  { name: "floor", rows: { "floor": "ms" } },
  { name: "boot", rows: { "boot": "ms", "boot-kernel": "ms" } },
  { name: "shim", rows: { "create": "ms", "first-byte": "ms" } },
] as const;

function names(...only: string[]): string[] {
  return select(MEASURES, only).map(({ name }) => name);
}

Deno.test("all measures are selected by default", () => {
  assert.deepEqual(names(), ["floor", "boot", "shim"]);
});

Deno.test("a measure, a row or a ratio selects the measures it needs, in the order of a round", () => {
  assert.deepEqual(names("boot", "floor"), ["floor", "boot"]);
  assert.deepEqual(names("boot-kernel"), ["boot"]);
  assert.deepEqual(names("first-byte/floor"), ["floor", "shim"]);
});

Deno.test("an unknown name is refused, and the known ones are listed", () => {
  assert.throws(() => names("bot"), /unknown name bot: known are floor, boot, shim/);
});
