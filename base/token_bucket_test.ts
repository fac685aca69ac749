import assert from "node:assert/strict";
import { TokenBucket } from "./token_bucket.ts";

Deno.test("take allows a burst, and then no more than the rate", () => {
  let now = 0;
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, () => now);
  const taken = () => Array.from({ length: 5 }, () => bucket.take()).filter(Boolean).length;
  assert.equal(taken(), 3);
  assert.equal(taken(), 0);
  now += 100;
  assert.equal(taken(), 1);
  now += 60_000;
  assert.equal(taken(), 3);
  assert.equal(bucket.take(4), false);
});

Deno.test("owe returns the time until what it took is there", () => {
  let now = 0;
  const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, () => now);
  assert.deepEqual([bucket.owe(), bucket.owe(), bucket.owe(), bucket.owe(3)], [0, 0, 100, 400]);
  now += 400;
  assert.equal(bucket.owe(), 100);
});
