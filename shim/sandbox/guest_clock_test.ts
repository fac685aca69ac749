import assert from "node:assert/strict";
import { settle } from "../testing/test_support.ts";
import { keepClock, setRight } from "./guest_clock.ts";

const MS = 1_000_000n;

/** A guest whose clock is off, with delays for each call and each answer. */
function world({ off, there, back }: { off: bigint; there: bigint[]; back: bigint[] }) {
  let time = 1_000_000n * MS;
  let call = 0;
  const moves: bigint[] = [];
  return {
    moves,
    now: () => time,
    get off() {
      return off;
    },
    adjust: (add: bigint) => {
      time += there[call % there.length]!;
      off += add;
      if (add !== 0n) moves.push(add);
      const answer = time + off;
      time += back[call++ % back.length]!;
      return Promise.resolve(answer);
    },
  };
}

Deno.test("a clock that is off is moved once, by the reading with the smallest delay", async () => {
  const guest = world({ off: -300n * MS, there: [200n * MS, 4n * MS], back: [10n * MS, 2n * MS] });
  await setRight(guest.adjust, guest.now);
  assert.equal(guest.moves.length, 1);
  assert.equal(guest.off, -1n * MS);
  await setRight(guest.adjust, guest.now);
  assert.equal(guest.moves.length, 1);
});

Deno.test("a clock is left alone if its offset is within the tolerance or the uncertainty", async () => {
  for (const off of [9n * MS, -9n * MS, 0n]) {
    const guest = world({ off, there: [1n * MS], back: [1n * MS] });
    await setRight(guest.adjust, guest.now);
    assert.deepEqual(guest.moves, []);
  }
  const slow = world({ off: -50n * MS, there: [60n * MS], back: [60n * MS] });
  await setRight(slow.adjust, slow.now);
  assert.deepEqual(slow.moves, []);
});

Deno.test("a guest that does not answer is asked again later, until the signal aborts", async () => {
  const logged: string[] = [];
  const ending = new AbortController();
  const kept = keepClock(
    () => Promise.reject(new Error("no answer")),
    ending.signal,
    (message) => logged.push(message),
  );
  await settle();
  assert.deepEqual(logged, ["the guest's clock was not read: no answer"]);
  ending.abort();
  await kept;
});
