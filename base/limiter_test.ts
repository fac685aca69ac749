import assert from "node:assert/strict";
import { delay } from "./delay.ts";
import { Limiter } from "./limiter.ts";

Deno.test("Limiter runs up to the limit at a time, in order, and a failure frees its place", async () => {
  const limiter = new Limiter(3);
  let [busy, most] = [0, 0];
  const begun: number[] = [];
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) =>
      limiter.run(async () => {
        begun.push(i);
        most = Math.max(most, ++busy);
        await delay(i % 4);
        busy--;
        if (i % 5 === 0) throw new Error(String(i));
        return i;
      })),
  );
  assert.equal(most, 3);
  assert.deepEqual(begun, Array.from({ length: 20 }, (_, i) => i));
  assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 4);
});
