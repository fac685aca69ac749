import assert from "node:assert/strict";
import { delay, endsWithin } from "../../base/mod.ts";
import type { System } from "../../ffi/mod.ts";
import { releaseMemoryWhenIdle } from "./idle_memory.ts";

Deno.test("releaseMemoryWhenIdle trims the heap once, after its delay", async () => {
  let trims = 0;
  const trimmed = Promise.withResolvers<void>();
  const system = { trimHeap: () => (trims++, trimmed.resolve()) } as Partial<System> as System;
  releaseMemoryWhenIdle(system, 1);
  assert.equal(trims, 0);
  // The timer itself would not keep this process alive.
  assert.ok(await endsWithin(trimmed.promise, 10_000));
  await delay(5);
  assert.equal(trims, 1);
});
