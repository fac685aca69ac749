import assert from "node:assert/strict";
import { abortOf, after, endsWithin, withDeadline } from "./deadline.ts";

const never = new Promise<never>(() => {});
const late = () => new Error("late");

Deno.test("after fires once, not after disposal, and never beyond 31 bits", async () => {
  const fired = Promise.withResolvers<void>();
  using _timer = after(1, fired.resolve);
  const unwanted = () => assert.fail("fired");
  after(0, unwanted)[Symbol.dispose]();
  using _never = after(2 ** 40, unwanted);
  await fired.promise;
});

Deno.test("withDeadline returns what the work returns, and throws what it throws", async () => {
  const options = { timeoutMs: 10_000, onTimeout: late };
  assert.equal(await withDeadline(options, () => Promise.resolve(7)), 7);
  await assert.rejects(
    withDeadline(options, () => Promise.reject(new Error("mine"))),
    /^Error: mine$/,
  );
});

Deno.test("withDeadline ends at the timeout even if the work ignores its signal", async () => {
  let seen: AbortSignal | undefined;
  const work = (signal: AbortSignal) => {
    seen = signal;
    return never;
  };
  await assert.rejects(withDeadline({ timeoutMs: 1, onTimeout: late }, work), /^Error: late$/);
  assert.equal((seen!.reason as Error).message, "late");
});

Deno.test("withDeadline ends with the caller's signal, before or during the work", async () => {
  const options = { timeoutMs: 10_000, onTimeout: late };
  const aborted = AbortSignal.abort(new Error("cancelled"));
  const unwanted = () => assert.fail("began");
  await assert.rejects(withDeadline({ ...options, signal: aborted }, unwanted), /cancelled/);
  const controller = new AbortController();
  const pending = withDeadline({
    ...options,
    signal: controller.signal,
    onAbort: (reason) => new Error(`because of ${(reason as Error).message}`),
  }, () => never);
  controller.abort(new Error("stop"));
  await assert.rejects(pending, /^Error: because of stop$/);
});

Deno.test("endsWithin returns whether a promise resolves in time", async () => {
  assert.equal(await endsWithin(Promise.resolve(), 10_000), true);
  assert.equal(await endsWithin(never, 1), false);
  await assert.rejects(endsWithin(Promise.reject(new Error("no")), 10_000), /no/);
});

Deno.test("abortOf rejects with the reason, also of a signal that had aborted", async () => {
  const controller = new AbortController();
  const aborted = abortOf(controller.signal);
  controller.abort(new Error("stop"));
  await assert.rejects(aborted, /^Error: stop$/);
  await assert.rejects(abortOf(controller.signal), /^Error: stop$/);
});
