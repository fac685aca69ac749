import assert from "node:assert/strict";
import fc from "fast-check";
import { Code } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { concatenate, lengthField, pieceSizes, streamOf } from "../testing/test_streams.ts";
import { FrameReader, FrameWriter } from "./stream_frames.ts";
import { acceptStream, openStream, STREAM_ID_BYTES_MAX } from "./stream_open.ts";

const text = new TextEncoder();

Deno.test("openStream resolves when the guest accepts the id", async () => {
  const id = fc.stringMatching(/^[A-Za-z0-9._:/-]{1,256}$/);
  await fc.assert(fc.asyncProperty(id, async (wanted) => {
    const [host, guest] = memoryPair();
    const [accepted] = await Promise.all([
      acceptStream(guest, (found) => found === wanted),
      openStream(host, wanted),
    ]);
    assert.equal(accepted, wanted);
    // The connection is open and has lost no byte.
    await new FrameWriter(guest).write(Uint8Array.of(5));
    assert.deepEqual([...(await new FrameReader(host).read())!], [5]);
  }));
});

Deno.test("openStream fails with the guest's reason", async () => {
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

Deno.test("openStream does not send an invalid id", async () => {
  for (const id of ["", "a b", "ä", "a\n", "x".repeat(STREAM_ID_BYTES_MAX + 1)]) {
    const [host, guest] = memoryPair();
    await assert.rejects(
      openStream(host, id),
      isRpcError(Code.InvalidArgument, /is not a stream id/),
    );
    assert.equal(await guest.read(new Uint8Array(1)), null);
  }
});

Deno.test("openStream closes the connection after an invalid answer", async () => {
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

Deno.test("acceptStream refuses an invalid id without asking, and closes the connection", async () => {
  const cases: [request: Uint8Array, reason: RegExp][] = [
    [lengthField(0), /length 0 is not 1 to 256/],
    [lengthField(257), /length 257/],
    [lengthField(0xffff_ffff), /length 4294967295/],
    [concatenate([lengthField(3), text.encode("a b")]), /"a b" is not a stream id/],
    [concatenate([lengthField(2), Uint8Array.of(0xff, 0xfe)]), /is not a stream id/],
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

Deno.test("acceptStream takes any bytes in any pieces for an id or nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), pieceSizes, async (garbage, sizes) => {
      const source = { ...streamOf(garbage, sizes), write: () => Promise.resolve() };
      const id = await acceptStream(source, () => true);
      if (id === null) assert.equal(source.closed, true);
      else assert.match(id, /^[A-Za-z0-9._:/-]{1,256}$/);
    }),
  );
});

Deno.test("acceptStream returns null for a peer that hangs up, and throws bugs and aborts", async () => {
  const request = concatenate([lengthField(2), text.encode("id")]);
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
