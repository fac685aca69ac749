import assert from "node:assert/strict";
import type { System } from "../../ffi/mod.ts";
import { releaseMemoryWhenIdle } from "./idle_memory.ts";

Deno.test("memory is given back once, when its time has come", async () => {
  let trims = 0;
  const trimmed = Promise.withResolvers<void>();
  const system = { trimHeap: () => (trims++, trimmed.resolve()) } as Partial<System> as System;
  releaseMemoryWhenIdle(system, 1);
  assert.equal(trims, 0);
  // The timer alone would not keep this process alive.
  const alive = setInterval(() => {}, 1);
  await trimmed.promise;
  await new Promise((resolve) => setTimeout(resolve, 5));
  clearInterval(alive);
  assert.equal(trims, 1);
});
