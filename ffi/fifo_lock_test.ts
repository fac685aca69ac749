import assert from "node:assert/strict";
import { delay } from "../base/mod.ts";
import { FifoLock } from "./fifo_lock.ts";

Deno.test("the lock is granted in order, skipping aborted requests", async () => {
  const lock = new FifoLock();
  const order: string[] = [];
  const gaveUp = new AbortController();
  const hold = async (name: string, signal?: AbortSignal): Promise<void> => {
    await lock.acquire(signal);
    order.push(`${name} in`);
    await delay(0);
    order.push(`${name} out`);
    lock.release();
  };
  const a = hold("a"), b = hold("b", gaveUp.signal), c = hold("c");
  gaveUp.abort(new Error("enough"));
  await assert.rejects(b, /enough/);
  await Promise.all([a, c]);
  await assert.rejects(lock.acquire(gaveUp.signal), /enough/);
  await hold("d");
  assert.deepEqual(order, ["a in", "a out", "c in", "c out", "d in", "d out"]);
});

Deno.test("aborting after the lock was granted changes nothing", async () => {
  const lock = new FifoLock();
  const controller = new AbortController();
  await lock.acquire();
  const second = lock.acquire(controller.signal);
  lock.release();
  await second;
  controller.abort();
  const third = lock.acquire();
  lock.release();
  await third;
});
