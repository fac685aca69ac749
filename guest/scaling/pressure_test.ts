import assert from "node:assert/strict";
import { delay, poll } from "../../base/mod.ts";
import type { Poller, System } from "../../ffi/mod.ts";
import { type Elastic, followPressure } from "./pressure.ts";

/** Records the calls of followPressure. */
class FakeElastic implements Elastic {
  readonly pressure = "/proc/pressure/fake";
  readonly calls: string[] = [];
  isLeast = true;

  grow(): void {
    this.calls.push("grow");
    this.isLeast = false;
  }
  measure(): void {
    this.calls.push("measure");
  }
  shrink(): void {
    this.calls.push("shrink");
  }
  get shrinks(): number {
    return this.calls.filter((call) => call === "shrink").length;
  }
}

/** Runs followPressure with a kernel that a test controls. */
function follow(elastic: Elastic, cooldownMs: number) {
  const opened: string[] = [], written: string[] = [], closed: number[] = [];
  const system = {
    open: (path: string) => (opened.push(path), 9),
    close: (fd: number) => closed.push(fd),
    write: (_: unknown, data: Uint8Array) => written.push(new TextDecoder().decode(data)),
  } as unknown as System;
  let pressed = Promise.withResolvers<void>();
  const poller = { wait: () => pressed.promise } as unknown as Poller;
  const following = followPressure(system, poller, { growPercent: 60, cooldownMs }, elastic);
  const press = async (): Promise<void> => {
    const before = pressed;
    pressed = Promise.withResolvers();
    before.resolve();
    await delay(0);
  };
  return {
    opened,
    written,
    closed,
    following,
    press,
    fail: (error: Error) => pressed.reject(error),
  };
}

Deno.test("each pressure grows; looks follow until the least is reached, and anew after that", async () => {
  const elastic = new FakeElastic();
  const { opened, written, closed, following, press, fail } = follow(elastic, 5);
  const over = new Error("the test is over");
  const failed = assert.rejects(following, over);
  const shrinks = (count: number) =>
    poll(() => elastic.shrinks >= count || null, { everyMs: 1, timeoutMs: 10_000 });
  assert.deepEqual([opened, written], [["/proc/pressure/fake"], ["some 600000 1000000\0"]]);
  await press();
  assert.deepEqual(elastic.calls.slice(0, 2), ["grow", "measure"]);
  assert(await shrinks(2));
  elastic.isLeast = true;
  const reached = elastic.shrinks + 1;
  assert(await shrinks(reached));
  await delay(30);
  assert.equal(elastic.shrinks, reached);

  await press();
  assert(await shrinks(reached + 1));
  fail(over);
  await failed;
  assert.deepEqual(closed, [9]);
  const atEnd = elastic.shrinks;
  await delay(30);
  assert.equal(elastic.shrinks, atEnd);
});

Deno.test("no look happens before the cooldown", async () => {
  const elastic = new FakeElastic();
  const { following, press, fail } = follow(elastic, 60_000);
  const failed = assert.rejects(following, /over/);
  await press();
  await press();
  await delay(20);
  assert.deepEqual(elastic.calls, ["grow", "measure", "grow", "measure"]);
  fail(new Error("over"));
  await failed;
});
