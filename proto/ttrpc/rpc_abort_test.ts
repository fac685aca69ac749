import assert from "node:assert/strict";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import { Code, type RpcError } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { aborted, connectPeers, tasks } from "../testing/rpc_peers.ts";
import { implement } from "./service.ts";

Deno.test("the client enforces the deadline, whatever the server does", async () => {
  await using peers = connectPeers(tasks({ wait: () => new Promise(() => {}) }));
  const late = isRpcError(Code.DeadlineExceeded, /deadline/);
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 1 }), late);
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 0 }), late);
});

Deno.test("the deadline aborts the method's signal", async () => {
  const reason = Promise.withResolvers<RpcError>();
  await using peers = connectPeers(tasks({
    wait: (_, context) => {
      aborted(context).then(reason.resolve);
      return new Promise(() => {});
    },
  }));
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 1 }));
  isRpcError(Code.DeadlineExceeded, /deadline/)(await reason.promise);
});

Deno.test("an aborted call does not affect the connection", async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<{ exitStatus: number }>();
  await using peers = connectPeers(tasks({
    wait: () => (started.resolve(), finish.promise),
    start: () => ({ pid: 5 }),
  }));
  const abort = new AbortController();
  const call = peers.tasks.wait({}, { signal: abort.signal });
  await started.promise;
  abort.abort();
  await assert.rejects(call, isRpcError(Code.Canceled, /abort/));
  await assert.rejects(
    peers.tasks.wait({}, { signal: abort.signal }),
    isRpcError(Code.Canceled, /./),
  );
  // The late answer has no receiver.
  finish.resolve({ exitStatus: 0 });
  assert.equal((await peers.tasks.start({})).pid, 5);
});

Deno.test("a client that disconnects aborts its calls", async () => {
  const [started, reason] = [Promise.withResolvers<void>(), Promise.withResolvers<RpcError>()];
  const peers = connectPeers(tasks({
    wait: (_, context) => {
      aborted(context).then(reason.resolve);
      started.resolve();
      return new Promise(() => {});
    },
  }));
  const call = peers.tasks.wait({});
  await started.promise;
  peers.connection.close("enough");
  await assert.rejects(call, isRpcError(Code.Unavailable, /enough/));
  isRpcError(Code.Canceled, /connection closed/)(await reason.promise);
  await peers.served;
  await peers.connection.closed;
  await assert.rejects(peers.tasks.start({}), isRpcError(Code.Unavailable, /enough/));
});

Deno.test("a server that disconnects fails all calls", async () => {
  const started = Promise.withResolvers<void>();
  const peers = connectPeers(
    tasks({ wait: () => (started.resolve(), new Promise(() => {})) }),
    implement(guest.System, {
      async *events(_, context) {
        yield { topic: "/first" };
        await aborted(context);
      },
    }),
  );
  const call = peers.tasks.wait({});
  const events = peers.system.events({})[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.topic, "/first");
  await started.promise;
  peers.server.close();
  await assert.rejects(call, isRpcError(Code.Unavailable, /closed by the peer/));
  await assert.rejects(events.next(), isRpcError(Code.Unavailable, /closed by the peer/));
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  await peers.connection.closed;
  await peers.served;
  const [near, far] = memoryPair();
  await peers.server.serve(far);
  assert.equal(await near.read(new Uint8Array(1)), null);
});
