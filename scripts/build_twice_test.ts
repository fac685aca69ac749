import assert from "node:assert/strict";
import { unequal } from "./build_twice.ts";

Deno.test("files that differ or are missing in one of two builds are named", () => {
  assert.deepEqual(unequal({ a: "1", b: "2" }, { a: "1", b: "2" }), []);
  assert.deepEqual(unequal({ a: "1", b: "2" }, { b: "3" }), [
    "a: 1 and undefined",
    "b: 2 and 3",
  ]);
});
