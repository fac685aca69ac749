import assert from "node:assert/strict";
import { isStray, strayObservers } from "./stray_errno.ts";

Deno.test("an errno that read cannot have is retried and reported", () => {
  const told: string[] = [];
  const observe = (what: string): void => void told.push(what);
  strayObservers.add(observe);
  try {
    assert.ok(isStray("read", 2));
    for (const code of [4, 5, 9, 11, 28, 32, 104]) {
      assert.ok(!isStray("read", code), String(code));
    }
  } finally {
    strayObservers.delete(observe);
  }
  assert.deepEqual(told, ["read failed with ENOENT, retrying"]);
});
