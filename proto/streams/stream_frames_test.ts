import assert from "node:assert/strict";
import fc from "fast-check";
import { Code } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import {
  concatenate,
  lengthField,
  pattern,
  pieceSizes,
  sink,
  streamOf,
} from "../testing/test_streams.ts";
import type { ByteStream } from "./byte_stream.ts";
import { FrameReader, FrameWriter, STREAM_FRAME_BYTES_MAX, waitForClose } from "./stream_frames.ts";

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: 0, max: 3 * STREAM_FRAME_BYTES_MAX }).map(pattern),
);

/** Reads all bytes up to the end. */
async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const reader = new FrameReader(stream);
  const chunks = [];
  for (let chunk = await reader.read(); chunk !== null; chunk = await reader.read()) {
    assert.ok(chunk.length > 0);
    chunks.push(chunk.slice());
  }
  return concatenate(chunks);
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

Deno.test("frames carry bytes unchanged, however the stream cuts them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 4 }), pieceSizes, async (chunks, sizes) => {
      const wire = sink();
      const writer = new FrameWriter(wire);
      for (const chunk of chunks) await writer.write(chunk);
      await writer.end();
      const source = streamOf(wire.bytes(), sizes);
      assert.ok(same(await readAll(source), concatenate(chunks)));
      assert.equal(source.closed, true, "the receiver of the end closes");
    }),
    { numRuns: 50 },
  );
});

Deno.test("frames have the documented format", async () => {
  const wire = sink();
  const writer = new FrameWriter(wire);
  await writer.write(Uint8Array.of(7, 8));
  await writer.write(new Uint8Array(0));
  writer.space.set([9]);
  await writer.send(1);
  await writer.end();
  await writer.end();
  assert.deepEqual([...wire.bytes()], [0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9, 0, 0, 0, 0]);
  assert.equal(writer.space.length, STREAM_FRAME_BYTES_MAX);
});

Deno.test("no frame is over the limit, and none follows the end", async () => {
  const wire = sink();
  const writer = new FrameWriter(wire);
  await writer.write(new Uint8Array(STREAM_FRAME_BYTES_MAX + 1));
  const written = wire.bytes();
  assert.deepEqual([...written.subarray(0, 4)], [0, 1, 0, 0]);
  assert.deepEqual([...written.subarray(-5)], [0, 0, 0, 1, 0]);
  await assert.rejects(writer.send(0), RangeError);
  await assert.rejects(writer.send(STREAM_FRAME_BYTES_MAX + 1), RangeError);
  await writer.end();
  await assert.rejects(writer.write(Uint8Array.of(1)), TypeError);
});

Deno.test("a connection that is cut off fails with DataLoss after the bytes that arrived", async () => {
  const wire = sink();
  const writer = new FrameWriter(wire);
  await writer.write(Uint8Array.of(1, 2, 3));
  await writer.write(Uint8Array.of(4, 5));
  await writer.end();
  const whole = wire.bytes();
  for (let cut = 0; cut < whole.length; cut++) {
    for (const failure of [undefined, new Error("reset")]) {
      const source = streamOf(whole.subarray(0, cut), [3], failure);
      const reader = new FrameReader(source);
      const received: number[] = [];
      await assert.rejects(async () => {
        for (let chunk; (chunk = await reader.read()) !== null;) received.push(...chunk);
      }, isRpcError(Code.DataLoss, failure === undefined ? /before the end/ : /failed/));
      const expected = [1, 2, 3].slice(0, Math.max(0, cut - 4))
        .concat([4, 5].slice(0, Math.max(0, cut - 11)));
      assert.deepEqual(received, expected, `cut at ${cut}`);
      assert.equal(source.closed, true);
    }
  }
});

Deno.test("a length over the limit fails with DataLoss", async () => {
  const over = fc.integer({ min: STREAM_FRAME_BYTES_MAX + 1, max: 0xffff_ffff });
  await fc.assert(fc.asyncProperty(over, pieceSizes, async (value, sizes) => {
    const source = streamOf(
      concatenate([lengthField(1), Uint8Array.of(1), lengthField(value)]),
      sizes,
    );
    const reader = new FrameReader(source);
    assert.deepEqual([...(await reader.read())!], [1]);
    await assert.rejects(reader.read(), isRpcError(Code.DataLoss, /frame of/));
    assert.equal(source.closed, true);
  }));
});

Deno.test("any bytes are data, an end, or a DataLoss", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), pieceSizes, async (garbage, sizes) => {
      const source = streamOf(garbage, sizes);
      await readAll(source).catch((error) => assert.equal(error.code, Code.DataLoss));
      assert.equal(source.closed, true);
    }),
  );
});

Deno.test("bytes after the end are ignored", async () => {
  const reader = new FrameReader(
    streamOf(concatenate([lengthField(0), lengthField(1), lengthField(1)])),
  );
  assert.equal(await reader.read(), null);
  assert.equal(await reader.read(), null);
});

Deno.test("an aborted read loses no bytes", async () => {
  const [near, far] = memoryPair();
  const reader = new FrameReader(near);
  const abort = new AbortController();
  const reading = reader.read({ signal: abort.signal });
  abort.abort(new Error("later"));
  await assert.rejects(reading, /later/);
  const writer = new FrameWriter(far);
  await writer.write(Uint8Array.of(1, 2));
  assert.deepEqual([...(await reader.read())!], [1, 2]);
  await writer.end();
  assert.equal(await reader.read(), null);
});

Deno.test("waitForClose resolves when the receiver has read everything", async () => {
  const [near, far] = memoryPair();
  const writer = new FrameWriter(near);
  const sent = pattern(1_000_000);
  const receiving = readAll(far);
  await writer.write(sent);
  await writer.end();
  await waitForClose(near);
  assert.ok(same(await receiving, sent));
  const [lonely] = memoryPair();
  const never = waitForClose(lonely, { signal: AbortSignal.abort(new Error("enough")) });
  await assert.rejects(never, /enough/);
});
