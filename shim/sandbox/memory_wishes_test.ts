import assert from "node:assert/strict";
import { ManualClock } from "../testing/test_support.ts";
import { MemoryWishes } from "./memory_wishes.ts";

Deno.test("ten wishes a second are passed on, and the last one always is", async () => {
  using clock = new ManualClock();
  const passed: number[] = [];
  using wishes = new MemoryWishes((mib) => passed.push(mib));
  wishes.take(1);
  assert.deepEqual(passed, [1]);
  for (let mib = 2; mib < 1000; mib++) wishes.take(mib);
  await clock.advance(100);
  assert.deepEqual(passed, [1, 999]);
  await clock.advance(100);
  assert.equal(clock.pending, 0);
  wishes.take(5);
  assert.deepEqual(passed, [1, 999, 5]);
});

Deno.test("no wish is passed on after the end", async () => {
  using clock = new ManualClock();
  const passed: number[] = [];
  {
    using wishes = new MemoryWishes((mib) => passed.push(mib));
    wishes.take(1);
    wishes.take(2);
  }
  await clock.advance(1000);
  assert.deepEqual(passed, [1]);
  assert.equal(clock.pending, 0);
});
