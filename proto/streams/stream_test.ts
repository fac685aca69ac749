import assert from "node:assert/strict";
import fc from "fast-check";
import type { ByteStream } from "./byte_stream.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { Code, RpcError } from "../rpc_error.ts";
import { FrameReader, FrameWriter, STREAM_FRAME_BYTES_MAX, waitForClose } from "./stream_frames.ts";
import { acceptStream, openStream, STREAM_ID_BYTES_MAX } from "./stream_open.ts";
import { concatenate, pattern, pieceSizes, sink, streamOf } from "../testing/test_streams.ts";

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: 0, max: 3 * STREAM_FRAME_BYTES_MAX }).map(pattern),
);
const text = new TextEncoder();

function isRpcError(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RpcError, String(error));
    assert.equal(Code[error.code], Code[code]);
    assert.match(error.message, message);
    return true;
  };
}

/** Everything up to the end. */
async function readAll(stream: ByteStream): Promise<Uint8Array> {
  const reader = new FrameReader(stream);
  const chunks = [];
  for (let chunk = await reader.read(); chunk !== null; chunk = await reader.read()) {
    assert.ok(chunk.length > 0);
    chunks.push(chunk.slice());
  }
  return concatenate(chunks);
}

function length(value: number): Uint8Array {
  const field = new Uint8Array(4);
  new DataView(field.buffer).setUint32(0, value);
  return field;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

Deno.test("frames: bytes arrive as they were sent, however they are cut", async () => {
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

Deno.test("frames: have the form that is written down", async () => {
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

Deno.test("frames: none is longer than the limit, none comes after the end", async () => {
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

Deno.test("frames: a connection cut off anywhere is a loss of data, and what came is kept", async () => {
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

Deno.test("frames: lengths over the limit are refused", async () => {
  const over = fc.integer({ min: STREAM_FRAME_BYTES_MAX + 1, max: 0xffff_ffff });
  await fc.assert(fc.asyncProperty(over, pieceSizes, async (value, sizes) => {
    const source = streamOf(concatenate([length(1), Uint8Array.of(1), length(value)]), sizes);
    const reader = new FrameReader(source);
    assert.deepEqual([...(await reader.read())!], [1]);
    await assert.rejects(reader.read(), isRpcError(Code.DataLoss, /frame of/));
    assert.equal(source.closed, true);
  }));
});

Deno.test("frames: any bytes are data, an end, or a loss", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), pieceSizes, async (rubbish, sizes) => {
      const source = streamOf(rubbish, sizes);
      await readAll(source).catch((error) => assert.equal(error.code, Code.DataLoss));
      assert.equal(source.closed, true);
    }),
  );
});

Deno.test("frames: what comes after the end is nobody's, and the end stays the end", async () => {
  const reader = new FrameReader(streamOf(concatenate([length(0), length(1), length(1)])));
  assert.equal(await reader.read(), null);
  assert.equal(await reader.read(), null);
});

Deno.test("frames: an aborted read loses nothing", async () => {
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

Deno.test("frames: the sender hears that all was taken", async () => {
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

Deno.test("open: the guest is asked for the id and agrees", async () => {
  const id = fc.stringMatching(/^[A-Za-z0-9._:/-]{1,256}$/);
  await fc.assert(fc.asyncProperty(id, async (wanted) => {
    const [host, guest] = memoryPair();
    const [accepted] = await Promise.all([
      acceptStream(guest, (found) => found === wanted),
      openStream(host, wanted),
    ]);
    assert.equal(accepted, wanted);
    // The connection is open, and nothing of it was swallowed.
    await new FrameWriter(guest).write(Uint8Array.of(5));
    assert.deepEqual([...(await new FrameReader(host).read())!], [5]);
  }));
});

Deno.test("open: the guest says why not", async () => {
  const cases: [verdict: boolean | string, message: RegExp][] = [
    [false, /refused stream c1\/init\/stdout: unknown stream c1\/init\/stdout$/],
    ["taken", /: taken$/],
    ["", /: refused$/],
    ["\u001b[2J\nx", /: x$/],
    ["ü".repeat(2000), /: ü{512}$/],
  ];
  for (const [verdict, message] of cases) {
    const [host, guest] = memoryPair();
    const accepting = acceptStream(guest, () => verdict);
    await assert.rejects(
      openStream(host, "c1/init/stdout"),
      isRpcError(Code.NotFound, message),
    );
    assert.equal(await accepting, null);
  }
});

Deno.test("open: what is no id is not sent", async () => {
  for (const id of ["", "a b", "ä", "a\n", "x".repeat(STREAM_ID_BYTES_MAX + 1)]) {
    const [host, guest] = memoryPair();
    await assert.rejects(
      openStream(host, id),
      isRpcError(Code.InvalidArgument, /is not a stream id/),
    );
    assert.equal(await guest.read(new Uint8Array(1)), null);
  }
});

Deno.test("open: a guest that answers anything else loses the connection", async () => {
  const answers = [[], [2], [255], [1], [1, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 4, 1], [
    1,
    0,
    0,
    0,
    2,
    65,
  ]];
  for (const answer of answers) {
    const [host, guest] = memoryPair();
    await guest.write(Uint8Array.from(answer));
    const opening = openStream(host, "id");
    await guest.read(new Uint8Array(100));
    guest.close();
    await assert.rejects(opening, isRpcError(Code.DataLoss, /./), `answer ${answer}`);
    assert.equal(await host.read(new Uint8Array(1)), null);
  }
});

Deno.test("accept: bad ids are refused without asking, and the connection is closed", async () => {
  const cases: [request: Uint8Array, reason: RegExp][] = [
    [length(0), /length 0 is not 1 to 256/],
    [length(257), /length 257/],
    [length(0xffff_ffff), /length 4294967295/],
    [concatenate([length(3), text.encode("a b")]), /"a b" is not a stream id/],
    [concatenate([length(2), Uint8Array.of(0xff, 0xfe)]), /is not a stream id/],
  ];
  for (const [request, reason] of cases) {
    const [host, guest] = memoryPair();
    await host.write(request);
    assert.equal(await acceptStream(guest, () => assert.fail("asked")), null);
    const answer = new Uint8Array(1024);
    const count = await host.read(answer);
    assert.equal(answer[0], 1);
    assert.match(new TextDecoder().decode(answer.subarray(5, count!)), reason);
    assert.equal(await host.read(answer), null);
  }
});

Deno.test("accept: any bytes, in any pieces, are an id or nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), pieceSizes, async (rubbish, sizes) => {
      const source = { ...streamOf(rubbish, sizes), write: () => Promise.resolve() };
      const id = await acceptStream(source, () => true);
      if (id === null) assert.equal(source.closed, true);
      else assert.match(id, /^[A-Za-z0-9._:/-]{1,256}$/);
    }),
  );
});

Deno.test("accept: a peer that goes away is nothing to throw about; bugs and aborts are", async () => {
  const request = concatenate([length(2), text.encode("id")]);
  for (let cut = 0; cut < request.length; cut++) {
    const source = streamOf(
      request.subarray(0, cut),
      [1],
      cut % 2 ? new Error("reset") : undefined,
    );
    assert.equal(await acceptStream(source, () => true), null);
    assert.equal(source.closed, true);
  }
  // The answer cannot be written.
  assert.equal(await acceptStream(streamOf(request), () => true), null);
  const source = streamOf(request);
  const bug = acceptStream(source, () => {
    throw new TypeError("bug");
  });
  await assert.rejects(bug, TypeError);
  assert.equal(source.closed, true);
  const [, guest] = memoryPair();
  const aborted = { signal: AbortSignal.abort(new Error("enough")) };
  await assert.rejects(acceptStream(guest, () => true, aborted), /enough/);
});
