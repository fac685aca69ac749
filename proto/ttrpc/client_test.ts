/** A client whose server breaks the protocol, on purpose or by a bug. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { MIB } from "../../base/mod.ts";
import * as task from "../gen/containerd/runtime/task/v3/shim_schema.ts";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import { Code, type RpcError } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { RawPeer } from "../testing/raw_peer.ts";
import { streamOf } from "../testing/test_streams.ts";
import { createClient } from "./client.ts";
import { TtrpcConnection } from "./connection.ts";
import { Flag, MessageType } from "./message.ts";

const EMPTY = new Uint8Array(0);

/** Returns a client and the raw end of its connection. */
function call() {
  const [near, far] = memoryPair();
  const connection = new TtrpcConnection(near);
  return {
    connection,
    peer: new RawPeer(far),
    tasks: createClient(task.Task, connection),
    system: createClient(guest.System, connection),
    async [Symbol.asyncDispose]() {
      connection.close();
      await connection.closed;
    },
  };
}

Deno.test("requests have increasing odd ids; unary ones no flags, streams RemoteClosed", async () => {
  await using client = call();
  const answers = [client.tasks.start({ id: "a" }), client.tasks.pause({})];
  client.system.events({});
  const headers = [];
  for (let count = 0; count < 3; count++) {
    const { streamId, type, flags } = (await client.peer.next())!.header;
    headers.push([streamId, type, flags]);
  }
  assert.deepEqual(headers, [[1, 1, 0], [3, 1, 0], [5, 1, Flag.RemoteClosed]]);
  await client.peer.respond(3, {});
  await client.peer.respond(1, {});
  await Promise.all(answers);
});

Deno.test("an answer over the limit closes the connection before its bytes arrive", async () => {
  await using client = call();
  const answer = client.tasks.start({});
  await client.peer.next();
  await client.peer.header(0xffff_ffff, 1, MessageType.Response);
  await assert.rejects(
    answer,
    isRpcError(Code.Unavailable, /message of 4294967295 bytes is over the limit/),
  );
  assert.equal(await client.peer.next(), null);
});

Deno.test("a truncated answer fails the call", async () => {
  await using client = call();
  const answer = client.tasks.start({});
  await client.peer.header(100, 1, MessageType.Response);
  client.peer.stream.close();
  await assert.rejects(answer, isRpcError(Code.Unavailable, /cut off/));
});

Deno.test("an invalid answer fails only its own call", async () => {
  await using client = call();
  const calls = [client.tasks.start({}), client.tasks.start({}), client.tasks.start({})];
  await client.peer.send(1, MessageType.Response, 0, Uint8Array.of(0xff));
  await client.peer.respond(3, { payload: Uint8Array.of(0xff) });
  await client.peer.send(5, MessageType.Data, 0, EMPTY);
  for (const answer of calls) {
    await assert.rejects(answer, (error) => (error as RpcError).code === Code.Internal);
  }
  const next = client.tasks.pause({});
  await client.peer.respond(7, {});
  await next;
});

Deno.test("codes that gRPC lacks are Unknown, and OK is not an error", async () => {
  await using client = call();
  const calls = [client.tasks.pause({}), client.tasks.pause({})];
  await client.peer.respond(1, { status: { code: 4711, message: "what" } });
  await client.peer.respond(3, { status: { code: 0 } });
  await assert.rejects(calls[0]!, (error) => (error as RpcError).code === Code.Unknown);
  await calls[1]!;
});

Deno.test("answers to unknown calls are ignored", async () => {
  await using client = call();
  for (const streamId of [0, 2, 1, 99, 0xffff_ffff]) await client.peer.respond(streamId, {});
  await client.peer.send(7, MessageType.Data, 0, Uint8Array.of(1));
  const answer = client.tasks.pause({});
  await client.peer.next();
  await client.peer.respond(1, {});
  await answer;
});

Deno.test("a stream may end with its last data, or with a response", async () => {
  await using client = call();
  const payload = Uint8Array.of(0x0a, 1, 0x78); // topic "x"
  const ends: ((streamId: number) => Promise<void>)[] = [
    (id) => client.peer.send(id, MessageType.Data, Flag.RemoteClosed, payload),
    (id) => client.peer.respond(id, { payload }),
    async (id) => {
      await client.peer.send(id, MessageType.Data, 0, payload);
      await client.peer.respond(id, {});
    },
  ];
  for (const [index, end] of ends.entries()) {
    const events = client.system.events({});
    await end(1 + 2 * index);
    const topics = [];
    for await (const event of events) topics.push(event.topic);
    assert.deepEqual(topics, ["x"], `end ${index}`);
  }
});

Deno.test("garbage on a stream ends only that stream", async () => {
  await using client = call();
  const events = client.system.events({})[Symbol.asyncIterator]();
  await client.peer.send(1, MessageType.Data, 0, Uint8Array.of(0xff));
  await client.peer.send(1, MessageType.Data, 0, EMPTY);
  await assert.rejects(events.next(), (error) => (error as RpcError).code === Code.Internal);
  assert.equal((await events.next()).done, true);
});

Deno.test("the queue of a stream is limited in bytes, too", async () => {
  await using client = call();
  const events = client.system.events({})[Symbol.asyncIterator]();
  const megabyte = new Uint8Array(MIB);
  // Field 15, length-delimited: unknown to the message, so it decodes.
  megabyte.set([0x7a, 0xfc, 0xff, 0x3f]);
  for (let count = 0; count < 9; count++) {
    await client.peer.send(1, MessageType.Data, 0, megabyte);
  }
  const answer = client.tasks.pause({});
  await client.peer.respond(3, {});
  await answer;
  for (let count = 0; count < 8; count++) assert.equal((await events.next()).done, false);
  await assert.rejects(events.next(), (error) => {
    return (error as RpcError).code === Code.ResourceExhausted;
  });
});

Deno.test("every call settles whatever bytes arrive", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
    const [near] = memoryPair();
    const connection = new TtrpcConnection({
      ...streamOf(bytes, [7]),
      write: near.write.bind(near),
    });
    const tasks = createClient(task.Task, connection);
    await Promise.allSettled([tasks.start({}), tasks.pause({})]);
    await connection.closed;
  }));
});
