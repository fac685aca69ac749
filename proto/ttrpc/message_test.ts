import assert from "node:assert/strict";
import fc from "fast-check";
import { Code, RpcError } from "../rpc_error.ts";
import { pattern, pieceSizes, sink, streamOf } from "../testing/test_streams.ts";
import {
  decodeHeader,
  encodeHeader,
  type Header,
  HEADER_BYTES,
  MESSAGE_BYTES_MAX,
  MessageReader,
  MessageWriter,
} from "./message.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u8 = fc.integer({ min: 0, max: 0xff });
const header: fc.Arbitrary<Header> = fc.record(
  { length: u32, streamId: u32, type: u8, flags: u8 },
  { noNullPrototype: true },
);
const message = fc.record({
  streamId: u32,
  type: u8,
  flags: u8,
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.integer({ min: 0, max: 300_000 }).map(pattern),
  ),
});

Deno.test("a header is ten bytes, big-endian", () => {
  const bytes = new Uint8Array(HEADER_BYTES);
  encodeHeader({ length: 0x010203, streamId: 0x04050607, type: 8, flags: 9 }, bytes);
  assert.deepEqual([...bytes], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("headers round-trip", () => {
  fc.assert(fc.property(header, (wanted) => {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader(wanted, bytes);
    assert.deepEqual(decodeHeader(bytes), wanted);
  }));
});

Deno.test("messages arrive unchanged, however the stream cuts them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 6 }), pieceSizes, async (messages, sizes) => {
      const wire = sink();
      const writer = new MessageWriter(wire);
      // Concurrently: the writer must keep them whole and in order.
      await Promise.all(
        messages.map((m) => writer.write(m.streamId, m.type, m.flags, m.payload)),
      );
      const reader = new MessageReader(streamOf(wire.bytes(), sizes));
      for (const { payload, ...rest } of messages) {
        const received = await reader.next();
        assert.deepEqual(received!.header, { ...rest, length: payload.length });
        assert.equal(compare(received!.payload!, payload), true);
      }
      assert.equal(await reader.next(), null);
    }),
    { numRuns: 50 },
  );
});

Deno.test("payloads do not change while the reader reads on", async () => {
  const wire = sink();
  const writer = new MessageWriter(wire);
  await writer.write(1, 1, 0, Uint8Array.of(1, 2, 3));
  await writer.write(3, 1, 0, Uint8Array.of(4, 5, 6));
  const reader = new MessageReader(streamOf(wire.bytes(), [13]));
  const first = await reader.next();
  await reader.next();
  assert.deepEqual([...first!.payload!], [1, 2, 3]);
});

Deno.test("a stream that ends within a message fails with DataLoss, at every byte", async () => {
  const wire = sink();
  await new MessageWriter(wire).write(1, 1, 0, Uint8Array.of(1, 2, 3));
  const whole = wire.bytes();
  for (let length = 1; length < whole.length; length++) {
    const reader = new MessageReader(streamOf(whole.subarray(0, length), [4]));
    await assert.rejects(reader.next(), (error) => {
      return error instanceof RpcError && error.code === Code.DataLoss;
    });
  }
});

Deno.test("a message is read with its bytes, or reported as too long", async () => {
  await fc.assert(fc.asyncProperty(header, pieceSizes, async (wanted, sizes) => {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader(wanted, bytes);
    const reader = new MessageReader(streamOf(bytes, sizes));
    if (wanted.length > MESSAGE_BYTES_MAX) {
      assert.deepEqual(await reader.next(), { header: wanted, payload: null });
      await assert.rejects(reader.discard(wanted.length), /cut off/);
    } else if (wanted.length > 0) {
      await assert.rejects(reader.next(), /cut off within a message of/);
    } else {
      assert.deepEqual(await reader.next(), { header: wanted, payload: new Uint8Array(0) });
    }
  }));
});

Deno.test("a message that is too long is skipped, and the next one is read", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 100_000 }), pieceSizes, async (over, sizes) => {
      const tooLong = MESSAGE_BYTES_MAX + over;
      const bytes = new Uint8Array(HEADER_BYTES + tooLong + HEADER_BYTES + 1);
      encodeHeader({ length: tooLong, streamId: 1, type: 1, flags: 0 }, bytes);
      const second = bytes.subarray(HEADER_BYTES + tooLong);
      encodeHeader({ length: 1, streamId: 3, type: 1, flags: 0 }, second);
      second[HEADER_BYTES] = 42;
      // Pieces of a few bytes would take minutes.
      const reader = new MessageReader(streamOf(bytes, sizes.map((size) => size + 10_000)));
      const first = await reader.next();
      assert.equal(first!.payload, null);
      await reader.discard(first!.header.length);
      assert.deepEqual(await reader.next(), {
        header: { length: 1, streamId: 3, type: 1, flags: 0 },
        payload: Uint8Array.of(42),
      });
    }),
    { numRuns: 5 },
  );
});

Deno.test("the longest payload is written, and one byte more is rejected and breaks nothing", async () => {
  const wire = sink();
  const writer = new MessageWriter(wire);
  const longest = pattern(MESSAGE_BYTES_MAX);
  await writer.write(1, 1, 0, longest);
  await assert.rejects(
    writer.write(3, 1, 0, new Uint8Array(MESSAGE_BYTES_MAX + 1)),
    (error) => error instanceof RpcError && error.code === Code.ResourceExhausted,
  );
  await writer.write(5, 1, 0, new Uint8Array(0));
  const reader = new MessageReader(streamOf(wire.bytes(), [1_000_000]));
  assert.equal(compare((await reader.next())!.payload!, longest), true);
  assert.equal((await reader.next())!.header.streamId, 5);
  assert.equal(await reader.next(), null);
});

Deno.test("after a failed write all later ones fail, because half a message may be written", async () => {
  let fail = true;
  const writer = new MessageWriter({
    ...sink(),
    write: () => fail ? Promise.reject(new Error("broken")) : Promise.resolve(),
  });
  const results = [
    writer.write(1, 1, 0, new Uint8Array(1)),
    writer.write(3, 1, 0, new Uint8Array()),
  ];
  for (const result of results) await assert.rejects(result, /broken/);
  fail = false;
  await assert.rejects(writer.write(5, 1, 0, new Uint8Array()), /broken/);
});

function compare(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
