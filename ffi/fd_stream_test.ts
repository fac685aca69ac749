import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { O } from "./constants.ts";
import { FdStream } from "./fd_stream.ts";
import { Poller } from "./poller.ts";
import { system } from "./real_system.ts";
import type { Fd } from "./system.ts";
import { isSystemError } from "./system_error.ts";

const text = new TextEncoder();

function pipeStreams(): { reader: FdStream; writer: FdStream } {
  const { read, write } = system.pipe({ nonblock: "both" });
  return { reader: new FdStream(read), writer: new FdStream(write) };
}

/** Fills a pipe or socket until it would block. */
function fill(fd: Fd): number {
  let total = 0;
  for (;;) {
    const taken = system.write(fd, new Uint8Array(4096));
    if (taken === null) return total;
    total += taken;
  }
}

async function readAll(stream: FdStream, chunk: number = 65536): Promise<Uint8Array> {
  const into = new Uint8Array(chunk);
  const parts: Uint8Array[] = [];
  for (let n = await stream.read(into); n !== null; n = await stream.read(into)) {
    parts.push(into.slice(0, n));
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

const rejectsWith = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => isSystemError(error, code));

Deno.test("a pipe carries bytes, and read returns null at its end", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  await writer.write(text.encode("hello"));
  writer.close();
  assert.deepEqual(await readAll(reader), text.encode("hello"));
  assert.equal(await reader.read(new Uint8Array(1)), null);
});

Deno.test("read waits for bytes that are written later", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  using _writer = writer;
  const into = new Uint8Array(8);
  const pending = reader.read(into);
  await writer.write(text.encode("late"));
  assert.equal(await pending, 4);
  assert.deepEqual(into.subarray(0, 4), text.encode("late"));
});

Deno.test("a write larger than the pipe waits for its reader", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  const data = crypto.getRandomValues(new Uint8Array(65536));
  const big = new Uint8Array(3_000_001).map((_, index) => data[index % 65521]!);
  const writing = writer.write(big).then(() => writer.close());
  const received = await readAll(reader, 10_007);
  await writing;
  assert.equal(Buffer.compare(received, big), 0);
});

Deno.test("concurrent writes stay whole and in order", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  const sizes = [200_000, 1, 300_000, 0, 70_000];
  const writes = sizes.map((size, index) => writer.write(new Uint8Array(size).fill(index + 1)));
  const done = Promise.all(writes).then(() => writer.close());
  const received = await readAll(reader);
  await done;
  const expected = sizes.flatMap((size, index) => [...new Uint8Array(size).fill(index + 1)]);
  assert.equal(Buffer.compare(received, Uint8Array.from(expected)), 0);
});

Deno.test("a socket is read and written concurrently", async () => {
  const [a, b] = system.socketPair();
  using left = new FdStream(a);
  using right = new FdStream(b);
  const data = new Uint8Array(2_000_000).fill(7);
  const reading = left.read(new Uint8Array(4));
  const writing = left.write(data);
  await right.write(text.encode("ping"));
  assert.equal(await reading, 4);
  let total = 0;
  const into = new Uint8Array(65536);
  while (total < data.length) total += (await right.read(into))!;
  await writing;
  assert.equal(total, data.length);
});

Deno.test("close ends pending and later reads with null", async () => {
  const { reader, writer } = pipeStreams();
  using _writer = writer;
  const pending = reader.read(new Uint8Array(1));
  reader.close();
  reader.close();
  assert.equal(await pending, null);
  assert.equal(await reader.read(new Uint8Array(1)), null);
});

Deno.test("close fails pending and queued writes with EBADF", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  fill(writer.fd);
  const first = writer.write(new Uint8Array(10));
  const second = writer.write(new Uint8Array(10));
  const outcomes = Promise.allSettled([first, second]);
  writer.close();
  for (const outcome of await outcomes) {
    assert(outcome.status === "rejected" && isSystemError(outcome.reason, "EBADF"));
  }
  await rejectsWith(writer.write(new Uint8Array(0)), "EBADF");
});

Deno.test("a write without a reader fails with EPIPE, not with a signal", async () => {
  const { reader, writer } = pipeStreams();
  using _writer = writer;
  fill(writer.fd);
  const pending = writer.write(new Uint8Array(10));
  reader.close();
  await rejectsWith(pending, "EPIPE");
  await rejectsWith(writer.write(new Uint8Array(1)), "EPIPE");
});

Deno.test("an aborted read loses no byte", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  using _writer = writer;
  const controller = new AbortController();
  const pending = reader.read(new Uint8Array(1), { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(pending, /enough/);
  await assert.rejects(reader.read(new Uint8Array(1), { signal: controller.signal }), /enough/);
  await writer.write(text.encode("x"));
  const into = new Uint8Array(2);
  assert.equal(await reader.read(into), 1);
});

Deno.test("a write aborted halfway breaks the stream, one aborted before it begins does not", async () => {
  const { reader, writer } = pipeStreams();
  using _reader = reader;
  using _writer = writer;
  const filled = fill(writer.fd);
  const before = new AbortController();
  const queued = new AbortController();
  const waiting = writer.write(new Uint8Array(5), { signal: before.signal });
  const second = writer.write(new Uint8Array(5), { signal: queued.signal });
  queued.abort(new Error("queued"));
  await assert.rejects(second, /queued/);
  before.abort(new Error("before"));
  await assert.rejects(waiting, /before/);

  const into = new Uint8Array(filled);
  for (let total = 0; total < filled;) total += (await reader.read(into))!;
  const middle = new AbortController();
  const cut = writer.write(new Uint8Array(filled * 8), { signal: middle.signal });
  const first = await reader.read(into); // a part is written
  assert(first !== null && first > 0);
  fill(writer.fd);
  middle.abort(new Error("middle"));
  await assert.rejects(cut, /middle/);
  await rejectsWith(writer.write(new Uint8Array(1)), "EPIPE");
});

Deno.test("a FIFO opened with O_RDWR waits for its first byte", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/fifo`;
    system.mkfifo(path, 0o600);
    using reader = new FdStream(system.open(path, O.RDWR | O.NONBLOCK));
    using writer = new FdStream(system.open(path, O.WRONLY | O.NONBLOCK));
    const into = new Uint8Array(3);
    const pending = reader.read(into);
    await writer.write(text.encode("abc"));
    assert.equal(await pending, 3);
    assert.equal(system.fileType(reader.fd), "fifo");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a regular file is read to its end", async () => {
  const path = await Deno.makeTempFile();
  try {
    const data = new Uint8Array(1_000_000).fill(3);
    using writer = new FdStream(system.open(path, O.WRONLY));
    await writer.write(data);
    using reader = new FdStream(system.open(path, O.RDONLY));
    // Enough small reads to make the stream yield to the loop; epoll refuses files.
    assert.equal(Buffer.compare(await readAll(reader, 5_000), data), 0);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a peer that is always ready does not starve the event loop", async () => {
  using zeros = new FdStream(system.open("/dev/zero", O.RDONLY | O.NONBLOCK));
  let timerFired = false;
  setTimeout(() => timerFired = true, 0);
  const into = new Uint8Array(16);
  while (!timerFired) await zeros.read(into);
});

Deno.test("40 pipes carry 50 MB concurrently, byte for byte", async () => {
  using own = new Poller();
  const options = { poller: own };
  const total = 50_000_000, pipes = 40, each = total / pipes;
  await Promise.all(Array.from({ length: pipes }, async (_, seed) => {
    const { read, write } = system.pipe({ nonblock: "both" });
    using reader = new FdStream(read, options);
    const writer = new FdStream(write, options);
    const block = crypto.getRandomValues(new Uint8Array(31_250));
    const sent = createHash("sha256"), received = createHash("sha256");
    const writing = (async () => {
      for (let done = 0; done < each; done += block.length) {
        sent.update(block);
        await writer.write(block);
      }
      writer.close();
    })();
    const into = new Uint8Array(65_536 - seed * 7);
    for (let n = await reader.read(into); n !== null; n = await reader.read(into)) {
      received.update(into.subarray(0, n));
    }
    await writing;
    assert.equal(received.digest("hex"), sent.digest("hex"));
  }));
});

Deno.test("writeBytesMax limits each write(2), and pieces of two writes do not mix", async () => {
  const pieces: Uint8Array[] = [];
  const recording = {
    ...system,
    write: (_fd: Fd, data: Uint8Array) => {
      pieces.push(data.slice());
      return data.length;
    },
  };
  const { read, write } = system.pipe({ nonblock: "both" });
  using _reader = new FdStream(read);
  using writer = new FdStream(write, { system: recording, writeBytesMax: 1000 });
  const data = crypto.getRandomValues(new Uint8Array(2500));
  await Promise.all([writer.write(data), writer.write(Uint8Array.of(7))]);
  assert.deepEqual(pieces.map(({ length }) => length), [1000, 1000, 500, 1]);
  assert.deepEqual(new Uint8Array(pieces.slice(0, 3).flatMap((piece) => [...piece])), data);
});
