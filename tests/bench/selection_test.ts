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

Deno.test("all, when nothing was asked for", () => {
  assert.deepEqual(names(), ["floor", "boot", "shim"]);
});

Deno.test("a measure, a row and a ratio bring what they need, in the order of a round", () => {
  assert.deepEqual(names("boot", "floor"), ["floor", "boot"]);
  assert.deepEqual(names("boot-kernel"), ["boot"]);
  assert.deepEqual(names("first-byte/floor"), ["floor", "shim"]);
});

Deno.test("a name that there is not is refused, and the others are listed", () => {
  assert.throws(() => names("bot"), /nothing is called bot: there are floor, boot, shim/);
});
