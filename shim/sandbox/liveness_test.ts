import assert from "node:assert/strict";
import { ManualClock } from "../testing/test_support.ts";
import { untilSilent } from "./liveness.ts";

const TIMEOUT_MS = 30_000, PERIOD_MS = 5_000;

/** A watched guest that answers while `answers` is true. */
function watched() {
  const clock = new ManualClock();
  const ending = new AbortController();
  const state = { now: 0, answers: true, pings: 0, silent: null as boolean | null };
  const ping = () => {
    state.pings++;
    return state.answers ? Promise.resolve() : new Promise<void>(() => {});
  };
  const options = { timeoutMs: TIMEOUT_MS, signal: ending.signal, now: () => state.now };
  const ended = untilSilent(ping, options).then((silent) => state.silent = silent);
  /** Lets time go by; the timers fire `lateMs` late. */
  const pass = async (ms: number, lateMs = 0) => {
    const end = state.now + ms;
    while (state.now < end) {
      state.now += PERIOD_MS + lateMs;
      await clock.advance(PERIOD_MS);
    }
  };
  return { clock, ending, state, ended, pass };
}

Deno.test("a guest is silent when it has answered nothing for the timeout", async () => {
  const { clock, state, pass } = watched();
  using _ = clock;
  await pass(10 * TIMEOUT_MS);
  assert.deepEqual([state.silent, state.pings], [null, 60]);
  state.answers = false;
  await pass(TIMEOUT_MS - PERIOD_MS);
  assert.equal(state.silent, null);
  await pass(PERIOD_MS);
  assert.deepEqual([state.silent, state.pings], [true, 61], "one ping at a time");
  assert.equal(clock.pending, 0);
});

Deno.test("time in which this process was stopped does not count", async () => {
  const { clock, ending, state, ended, pass } = watched();
  using _ = clock;
  state.answers = false;
  await pass(TIMEOUT_MS - PERIOD_MS);
  await pass(1, 2 * PERIOD_MS);
  await pass(TIMEOUT_MS - PERIOD_MS);
  assert.equal(state.silent, null);
  ending.abort();
  assert.equal(await ended, false);
  assert.equal(clock.pending, 0);
});

Deno.test("a late answer counts, and so does an error", async () => {
  using clock = new ManualClock();
  const ending = new AbortController();
  const calls: PromiseWithResolvers<void>[] = [];
  let now = 0;
  const ping = () => (calls.push(Promise.withResolvers()), calls.at(-1)!.promise);
  const ended = untilSilent(ping, {
    ...{ timeoutMs: TIMEOUT_MS, signal: ending.signal, now: () => now },
  });
  let silent: boolean | null = null;
  void ended.then((value) => silent = value);
  for (let period = 1; period < 40; period++) {
    now += PERIOD_MS;
    await clock.advance(PERIOD_MS);
    if (period % 4 === 0) calls.at(-1)!.reject(new Error("not now"));
  }
  assert.equal(silent, null);
  ending.abort();
  assert.equal(await ended, false);
});
