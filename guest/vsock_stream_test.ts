import assert from "node:assert/strict";
import { type ByteStream } from "../proto/mod.ts";
import { VsockStream, WRITE_BYTES_MAX } from "./vsock_stream.ts";

function sink(): { stream: ByteStream; pieces: Uint8Array[] } {
  const pieces: Uint8Array[] = [];
  const stream: ByteStream = {
    read: () => Promise.resolve(null),
    write: async (data) => {
      await Promise.resolve();
      pieces.push(data.slice());
    },
    close: () => {},
  };
  return { stream, pieces };
}

Deno.test("no write is bigger than what the vsock device takes, and none is lost", async () => {
  const { stream, pieces } = sink();
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  await new VsockStream(stream).write(data);
  assert.ok(pieces.every(({ length }) => length > 0 && length <= WRITE_BYTES_MAX));
  assert.deepEqual(new Uint8Array(pieces.flatMap((piece) => [...piece])), data);
});

Deno.test("the pieces of two writes do not mix", async () => {
  const { stream, pieces } = sink();
  const vsock = new VsockStream(stream);
  const big = new Uint8Array(3 * WRITE_BYTES_MAX).fill(1);
  await Promise.all([vsock.write(big), vsock.write(Uint8Array.of(2))]);
  assert.deepEqual(pieces.map((piece) => piece[0]), [1, 1, 1, 2]);
});

Deno.test("a write that failed fails alone", async () => {
  let calls = 0;
  const vsock = new VsockStream({
    read: () => Promise.resolve(null),
    write: () => calls++ === 0 ? Promise.reject(new Error("broken")) : Promise.resolve(),
    close: () => {},
  });
  const first = vsock.write(Uint8Array.of(1));
  const second = vsock.write(Uint8Array.of(2));
  await assert.rejects(first, /broken/);
  await second;
});
