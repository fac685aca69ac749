/** A server whose client breaks the protocol, on purpose or by a bug. @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as task from "../gen/containerd/runtime/task/v3/shim_schema.ts";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import { Code, RpcError } from "../rpc_error.ts";
import type { ByteStream } from "../streams/byte_stream.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { RawPeer } from "../testing/raw_peer.ts";
import { encodeHeader, Flag, HEADER_BYTES, MESSAGE_BYTES_MAX, MessageType } from "./message.ts";
import { TtrpcServer } from "./server.ts";
import { CONCURRENT_CALLS_MAX } from "./server_connection.ts";
import { implement } from "./service.ts";

const TASK = task.Task.typeName;
const START = { service: TASK, method: "Start" };
const EMPTY = new Uint8Array(0);

/** Returns a server and the raw end of a connection to it. */
function serve(onStart = () => {}) {
  const [near, far] = memoryPair();
  const errors: unknown[] = [];
  const server = new TtrpcServer([
    implement(task.Task, {
      start: () => (onStart(), { pid: 1 }),
      wait: () => new Promise(() => {}),
    }),
    implement(guest.System, {
      async *events() {
        yield { topic: "/one" };
      },
    }),
  ], { onError: (error) => errors.push(error) });
  const served = server.serve(far);
  const peer = new RawPeer(near);
  return {
    peer,
    errors,
    served,
    /** Checks that the server still answers. */
    async alive(streamId: number) {
      await peer.request(streamId, START);
      const answer = await peer.response();
      assert.equal(answer.streamId, streamId);
      assert.equal(answer.response.status, undefined);
    },
    async [Symbol.asyncDispose]() {
      near.close();
      await served;
    },
  };
}

async function assertRefused(peer: RawPeer, streamId: number, code: Code, message: RegExp) {
  const answer = await peer.response();
  assert.equal(answer.streamId, streamId);
  assert.equal(Code[answer.response.status!.code], Code[code]);
  assert.match(answer.response.status!.message, message);
}

Deno.test("a request over the limit is refused, and its bytes are skipped", async () => {
  await using server = serve();
  const length = MESSAGE_BYTES_MAX + 1;
  await server.peer.header(length, 1, MessageType.Request);
  await server.peer.stream.write(new Uint8Array(length));
  await assertRefused(server.peer, 1, Code.ResourceExhausted, /4194305 bytes is over the limit/);
  await server.alive(3);
});

Deno.test("data over the limit fails its call, once", async () => {
  await using server = serve();
  await server.peer.request(1, { service: TASK, method: "Wait" });
  await server.peer.header(MESSAGE_BYTES_MAX + 1, 1, MessageType.Data);
  await server.peer.stream.write(new Uint8Array(MESSAGE_BYTES_MAX + 1));
  await assertRefused(server.peer, 1, Code.ResourceExhausted, /over the limit/);
  await server.alive(3);
});

Deno.test("stream ids must be odd and increase", async () => {
  await using server = serve();
  await server.peer.request(2, START);
  await assertRefused(server.peer, 2, Code.InvalidArgument, /odd/);
  await server.alive(5);
  await server.peer.request(5, START);
  await assertRefused(server.peer, 5, Code.InvalidArgument, /re-used/);
  await server.peer.request(3, START);
  await assertRefused(server.peer, 3, Code.InvalidArgument, /re-used/);
  await server.alive(7);
});

Deno.test("a reused stream id fails the call that has it", async () => {
  await using server = serve();
  await server.peer.request(1, { service: TASK, method: "Wait" });
  await server.peer.request(1, START);
  await assertRefused(server.peer, 1, Code.InvalidArgument, /re-used/);
  await server.alive(3);
});

Deno.test("an invalid request or payload is refused", async () => {
  await using server = serve();
  await server.peer.send(1, MessageType.Request, 0, Uint8Array.of(0xff));
  await assertRefused(server.peer, 1, Code.InvalidArgument, /cannot be decoded/);
  await server.peer.request(3, { ...START, payload: Uint8Array.of(0xff) });
  await assertRefused(server.peer, 3, Code.InvalidArgument, /StartRequest cannot be decoded/);
  await server.alive(5);
});

Deno.test("errors show unknown names without control characters", async () => {
  await using server = serve();
  await server.peer.request(1, { service: "x\u001b[2J\n", method: "y" });
  await assertRefused(server.peer, 1, Code.Unimplemented, /^service x is not/);
  await server.peer.request(3, { service: TASK, method: "toString" });
  await assertRefused(server.peer, 3, Code.Unimplemented, /Task\/toString is not/);
  await server.peer.request(5, { service: "__proto__", method: "constructor" });
  await assertRefused(server.peer, 5, Code.Unimplemented, /service __proto__ is not/);
});

Deno.test("data without a stream, or for a method without one, is refused", async () => {
  await using server = serve();
  await server.peer.send(9, MessageType.Data, 0, EMPTY);
  await assertRefused(server.peer, 9, Code.InvalidArgument, /no longer active/);
  await server.peer.request(11, { service: TASK, method: "Wait" }, Flag.RemoteOpen);
  await server.peer.send(11, MessageType.Data, 0, EMPTY);
  await assertRefused(server.peer, 11, Code.InvalidArgument, /takes no stream/);
  await server.alive(13);
});

Deno.test("a caller may close its side of a stream late", async () => {
  await using server = serve();
  await server.peer.request(1, { service: TASK, method: "Wait" }, Flag.RemoteOpen);
  await server.peer.send(1, MessageType.Data, Flag.RemoteClosed | Flag.NoData, EMPTY);
  await server.alive(3);
});

Deno.test("a stream is data messages, then one without data", async () => {
  await using server = serve();
  const events = { service: guest.System.typeName, method: "Events" };
  await server.peer.request(1, events, Flag.RemoteClosed);
  const first = await server.peer.next();
  assert.deepEqual([first!.header.type, first!.header.flags], [MessageType.Data, 0]);
  const last = await server.peer.next();
  assert.deepEqual(last!.header, {
    length: 0,
    streamId: 1,
    type: MessageType.Data,
    flags: Flag.RemoteClosed | Flag.NoData,
  });
});

Deno.test("messages of a later version are ignored", async () => {
  await using server = serve();
  await server.peer.send(1, 77, 0xff, Uint8Array.of(1, 2, 3));
  await server.alive(1);
});

Deno.test("a deadline in the past, which Go may send, is answered at once", async () => {
  await using server = serve();
  await server.peer.request(1, { service: TASK, method: "Wait", timeoutNano: -5n });
  await assertRefused(server.peer, 1, Code.DeadlineExceeded, /deadline/);
  await server.peer.request(3, { ...START, timeoutNano: 2n ** 62n });
  assert.equal((await server.peer.response()).response.status, undefined);
});

Deno.test("calls over the limit are refused, and aborted ones count until they return", async () => {
  await using server = serve();
  let streamId = 1;
  for (let count = 0; count < CONCURRENT_CALLS_MAX; count++, streamId += 2) {
    // These methods do not return, with or without a deadline.
    const timeoutNano = count === 0 ? 1n : 0n;
    await server.peer.request(streamId, { service: TASK, method: "Wait", timeoutNano });
  }
  await assertRefused(server.peer, 1, Code.DeadlineExceeded, /deadline/);
  await server.peer.request(streamId, START);
  await assertRefused(
    server.peer,
    streamId,
    Code.ResourceExhausted,
    /more than 1024 concurrent calls/,
  );
});

Deno.test("a connection cut off within a message is reported and closed", async () => {
  const server = serve();
  await server.peer.header(10, 1, MessageType.Request);
  server.peer.stream.close();
  await server.served;
  assert.match(String(server.errors[0]), /cut off/);
});

Deno.test("the server survives any bytes and frames", async () => {
  const frame = fc.record({
    length: fc.integer({ min: 0, max: 40 }),
    streamId: fc.integer({ min: 0, max: 9 }),
    type: fc.integer({ min: 0, max: 4 }),
    flags: fc.integer({ min: 0, max: 7 }),
    payload: fc.uint8Array({ maxLength: 40 }),
  }).map(({ payload, ...header }) => {
    const bytes = new Uint8Array(HEADER_BYTES + payload.length);
    encodeHeader(header, bytes);
    bytes.set(payload, HEADER_BYTES);
    return bytes;
  });
  const garbage = fc.oneof(fc.uint8Array({ maxLength: 200 }), frame);
  await fc.assert(fc.asyncProperty(fc.array(garbage, { maxLength: 10 }), async (pieces) => {
    await using server = serve();
    const drained = drain(server.peer.stream);
    // The server may hang up meanwhile.
    for (const piece of pieces) await server.peer.stream.write(piece).catch(() => {});
    server.peer.stream.close();
    await server.served;
    await drained;
    for (const error of server.errors) assert.ok(error instanceof RpcError, String(error));
  }));
});

async function drain(stream: ByteStream): Promise<void> {
  while (await stream.read(new Uint8Array(1000)) !== null);
}
