import assert from "node:assert/strict";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import { Code, RpcError } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { aborted, connectPeers, tasks } from "../testing/rpc_peers.ts";
import { implement } from "./service.ts";

Deno.test("a stream of answers arrives in order and ends", async () => {
  await using peers = connectPeers(implement(guest.System, {
    async *events() {
      for (let index = 0; index < 500; index++) yield { topic: `/${index}` };
    },
  }));
  const topics = [];
  for await (const event of peers.system.events({})) topics.push(event.topic);
  assert.deepEqual(topics, Array.from({ length: 500 }, (_, index) => `/${index}`));
});

Deno.test("empty messages of a stream are delivered", async () => {
  await using peers = connectPeers(implement(guest.System, {
    async *events() {
      yield {};
      yield {};
    },
  }));
  let count = 0;
  for await (const event of peers.system.events({})) count += event.topic === "" ? 1 : 0;
  assert.equal(count, 2);
});

Deno.test("a stream delivers its messages before its error", async () => {
  await using peers = connectPeers(implement(guest.System, {
    async *events() {
      yield { topic: "/one" };
      throw new RpcError(Code.Aborted, "no more");
    },
  }));
  const events = peers.system.events({})[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.topic, "/one");
  await assert.rejects(events.next(), isRpcError(Code.Aborted, /no more/));
  assert.equal((await events.next()).done, true);
});

Deno.test("a stream's deadline and signal end it on both sides", async () => {
  const reason = Promise.withResolvers<RpcError>();
  const ended = Promise.withResolvers<void>();
  await using peers = connectPeers(implement(guest.System, {
    async *events(_, context) {
      try {
        yield { topic: "/one" };
        reason.resolve(await aborted(context));
      } finally {
        ended.resolve();
      }
    },
  }));
  const timed = peers.system.events({}, { timeoutMs: 1 })[Symbol.asyncIterator]();
  await assert.rejects(async () => {
    while (!(await timed.next()).done);
  }, isRpcError(Code.DeadlineExceeded, /deadline/));
  isRpcError(Code.DeadlineExceeded, /deadline/)(await reason.promise);
  await ended.promise;
  const abort = new AbortController();
  const aborting = peers.system.events({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await aborting.next();
  abort.abort(new RpcError(Code.Aborted, "by hand"));
  await assert.rejects(aborting.next(), isRpcError(Code.Aborted, /by hand/));
});

Deno.test("a stream without a reader fails alone, and other calls go on", async () => {
  await using peers = connectPeers(
    implement(guest.System, {
      async *events() {
        for (;;) yield { topic: "/flood" };
      },
    }),
    tasks({ start: () => ({ pid: 3 }) }),
  );
  const flood = peers.system.events({})[Symbol.asyncIterator]();
  // Each answer follows at least one message of the flood.
  for (let index = 0; index < 2000; index++) await peers.tasks.start({});
  let received = 0;
  await assert.rejects(async () => {
    for (;;) {
      await flood.next();
      received++;
    }
  }, isRpcError(Code.ResourceExhausted, /too slow/));
  assert.equal(received, 1024);
});

Deno.test("leaving the loop abandons the stream", async () => {
  await using peers = connectPeers(
    implement(guest.System, {
      async *events() {
        for (;;) yield { topic: "/again" };
      },
    }),
    tasks({ start: () => ({ pid: 3 }) }),
  );
  for await (const event of peers.system.events({})) {
    assert.equal(event.topic, "/again");
    break;
  }
  assert.equal((await peers.tasks.start({})).pid, 3);
});
