import assert from "node:assert/strict";
import fc from "fast-check";
import {
  encodeFrame,
  FRAME,
  type Frame,
  FRAME_BYTES_MAX,
  type FrameType,
  FrameWriter,
  readFrames,
} from "./lab_frames.ts";

/** Returns the bytes in chunks of at most `size`. */
function source(bytes: Uint8Array, size = bytes.length): Parameters<typeof readFrames>[0] {
  let at = 0;
  return {
    read(into: Uint8Array): Promise<number | null> {
      if (at === bytes.length) return Promise.resolve(null);
      const piece = bytes.subarray(at, at + Math.min(size, into.length));
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length);
    },
  };
}

async function all(bytes: Uint8Array, size?: number): Promise<Frame[]> {
  return await Array.fromAsync(readFrames(source(bytes, size)));
}

const frames = fc.array(fc.record({
  type: fc.constantFrom<FrameType>(...Object.values(FRAME)),
  data: fc.uint8Array({ maxLength: 50 }),
}, { noNullPrototype: true }));

Deno.test("frames arrive as written, in chunks of any size", async () => {
  await fc.assert(fc.asyncProperty(frames, fc.integer({ min: 1, max: 9 }), async (list, size) => {
    const written: number[] = [];
    const writer = new FrameWriter({
      // Accepts fewer bytes than it is given, like a pipe.
      write(data: Uint8Array): Promise<number> {
        written.push(...data.subarray(0, size));
        return Promise.resolve(Math.min(size, data.length));
      },
    });
    await Promise.all(list.map(({ type, data }) => writer.write(type, data)));
    assert.deepEqual(await all(Uint8Array.from(written), size), list);
  }));
});

Deno.test("readFrames fails if the stream ends within a frame", async () => {
  const frame = encodeFrame(FRAME.STDOUT, Uint8Array.of(1, 2, 3));
  assert.deepEqual(await all(new Uint8Array()), []);
  for (let length = 1; length < frame.length; length++) {
    await assert.rejects(all(frame.subarray(0, length)), /ended within a frame/);
  }
});

Deno.test("an invalid frame is refused before memory is allocated for it", async () => {
  await assert.rejects(all(Uint8Array.of(99, 0, 0, 0, 0)), /invalid frame .* type 99, 0 bytes/);
  await assert.rejects(
    all(Uint8Array.of(FRAME.STDIN, 255, 0, 0, 0)),
    /invalid frame .* type 2, 4278190080 bytes/,
  );
  assert.throws(() => encodeFrame(FRAME.STDIN, new Uint8Array(FRAME_BYTES_MAX + 1)), RangeError);
});
