import assert from "node:assert/strict";
import { delay } from "./delay.ts";
import { poll } from "./poll.ts";

Deno.test("poll returns the first result", async () => {
  let looks = 0;
  const found = await poll(() => ++looks === 3 ? "it" : null, { everyMs: 1, timeoutMs: 10_000 });
  assert.deepEqual([found, looks], ["it", 3]);
});

Deno.test("poll looks at least once, and returns null at the deadline", async () => {
  let looks = 0;
  const look = () => (looks++, null);
  assert.equal(await poll(look, { everyMs: 1, timeoutMs: 0 }), null);
  assert.equal(looks, 1);
  assert.equal(await poll(look, { everyMs: 10_000, timeoutMs: 2 }), null);
});

Deno.test("poll and delay end when the signal aborts", async () => {
  const controller = new AbortController();
  const polling = poll(() => null, {
    everyMs: 10_000,
    timeoutMs: 20_000,
    signal: controller.signal,
  });
  const delaying = delay(10_000, controller.signal);
  controller.abort();
  assert.equal(await polling, null);
  await delaying;
  await delay(10_000, controller.signal);
});
