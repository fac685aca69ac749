import assert from "node:assert/strict";
import { MemoryLog } from "../testing/test_support.ts";
import { EventRate, EVENTS_PER_SECOND_MAX } from "./event_rate.ts";

Deno.test("no second has more events than the limit, and the rest is logged once a minute", () => {
  const log = new MemoryLog();
  let now = 0;
  const rate = new EventRate("/tasks/oom", log, () => now);
  const taken: number[] = [];
  for (; now < 60_000; now++) if (rate.take()) taken.push(now);
  for (const from of taken) {
    const inSecond = taken.filter((at) => at >= from && at < from + 1000).length;
    assert.ok(inSecond <= EVENTS_PER_SECOND_MAX, `${inSecond} events`);
  }
  assert.ok(taken.length > 290);
  assert.deepEqual(log.at("warn"), [
    "guest causes more events than 5 a second topic=/tasks/oom dropped=1",
  ]);
  now += 10;
  rate.take();
  const dropped = Number(/dropped=(\d+)$/.exec(log.at("warn")[1]!)![1]);
  assert.ok(Math.abs(dropped + 1 + taken.length - 60_000) <= 1, String(dropped));
});

Deno.test("nothing is dropped or logged at a normal pace", () => {
  const log = new MemoryLog();
  let now = 0;
  const rate = new EventRate("/tasks/oom", log, () => now);
  for (; now < 60_000; now += 500) assert.ok(rate.take());
  assert.deepEqual(log.lines, []);
});
