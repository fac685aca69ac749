import assert from "node:assert/strict";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { type OutputEnd, OutputPump } from "./output_pump.ts";
import type { OutputTarget } from "./stdio_target.ts";
import { ManualClock, settle } from "../testing/test_support.ts";

const DRAIN_MS = 1000;

/** A target whose reader takes the bytes that a test allows, and then nothing. */
class SlowTarget implements OutputTarget {
  readonly taken: number[] = [];
  readonly calls: string[] = [];
  failure: Error | null = null;
  unreadBytes = 0;
  #appetite = 0;
  #change = Promise.withResolvers<void>();

  /** The reader takes more. */
  take(bytes: number): void {
    this.#appetite += bytes;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async write(chunk: Uint8Array, { signal }: { signal: AbortSignal }): Promise<void> {
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
    aborted.catch(() => {});
    for (let done = 0; done < chunk.length;) {
      signal.throwIfAborted();
      if (this.failure !== null) throw this.failure;
      const part = chunk.subarray(done, done + this.#appetite);
      this.taken.push(...part);
      this.#appetite -= part.length;
      done += part.length;
      if (done < chunk.length) await Promise.race([this.#change.promise, aborted]);
    }
  }

  expectReader(): void {
    this.calls.push("expectReader");
  }

  [Symbol.dispose](): void {
    this.calls.push("dispose");
  }
}

/** Makes a pump between a guest's stream and a target, both in memory. */
function pumped(target = new SlowTarget()) {
  const [host, guest] = memoryPair();
  let closed = 0;
  let firstBytes = 0;
  const close = () => {
    closed++;
    host.close();
  };
  const pump = new OutputPump(new FrameReader(host), target, close, () => firstBytes++);
  let end: OutputEnd | null = null;
  void pump.ended.then((value) => end = value);
  return {
    target,
    pump,
    guest,
    writer: new FrameWriter(guest),
    end: () => end?.kind ?? null,
    closed: () => closed,
    firstBytes: () => firstBytes,
  };
}

Deno.test("output is delivered in order, then both sides are closed", async () => {
  using clock = new ManualClock();
  const { target, pump, writer, closed, firstBytes } = pumped();
  target.take(1 << 20);
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
  await writer.write(bytes);
  const drained = pump.drain(DRAIN_MS);
  await writer.end();
  assert.deepEqual(await drained, { kind: "complete" });
  assert.deepEqual(Uint8Array.from(target.taken), bytes);
  assert.deepEqual(target.calls, ["expectReader", "dispose"]);
  assert.deepEqual([closed(), firstBytes(), clock.pending], [1, 1, 0]);
});

Deno.test("drain of a stream that has ended already leaves no timer", async () => {
  using clock = new ManualClock();
  const { pump, writer } = pumped();
  await writer.end();
  await pump.ended;
  assert.deepEqual(await pump.drain(DRAIN_MS), { kind: "complete" });
  assert.equal(clock.pending, 0);
});

Deno.test("onFirstByte is not called without output", async () => {
  const { pump, writer, firstBytes } = pumped();
  await writer.end();
  assert.deepEqual(await pump.ended, { kind: "complete" });
  assert.equal(firstBytes(), 0);
});

Deno.test("a write error ends the pump and closes the stream to the guest", async () => {
  const { target, pump, writer, closed } = pumped();
  target.failure = new Error("EPIPE");
  await writer.write(Uint8Array.of(1));
  assert.deepEqual(await pump.ended, { kind: "reader-gone", error: target.failure });
  assert.equal(closed(), 1);
  await assert.rejects(writer.write(Uint8Array.of(2)), "the container must learn of it");
});

Deno.test("a stream that closes without its end is cut off", async () => {
  const { target, pump, writer, guest } = pumped();
  target.take(10);
  await writer.write(Uint8Array.of(1, 2));
  await settle();
  guest.close();
  assert.equal((await pump.ended).kind, "cut-off");
  assert.deepEqual(target.taken, [1, 2], "bytes before it are delivered");
});

Deno.test("a reader may stop for any time while the process runs", async () => {
  using clock = new ManualClock();
  const { target, writer, end, pump } = pumped();
  await writer.write(Uint8Array.of(1, 2, 3));
  await clock.advance(100 * DRAIN_MS);
  assert.equal(end(), null);
  target.take(3);
  await writer.end();
  assert.deepEqual(await pump.ended, { kind: "complete" });
});

Deno.test("drain gives up on a reader that takes nothing within drainMs", async () => {
  using clock = new ManualClock();
  const { pump, writer, end, target, closed } = pumped();
  await writer.write(Uint8Array.of(1, 2, 3));
  void pump.drain(DRAIN_MS);
  await clock.advance(DRAIN_MS - 1);
  assert.equal(end(), null);
  await clock.advance(1);
  assert.equal(end(), "reader-stopped");
  assert.ok(target.calls.includes("dispose"));
  assert.deepEqual([closed(), clock.pending], [1, 0]);
});

Deno.test("drain gives up on a guest that does not end its stream within drainMs", async () => {
  using clock = new ManualClock();
  const { pump, end } = pumped();
  void pump.drain(DRAIN_MS);
  await clock.advance(DRAIN_MS);
  assert.equal(end(), "reader-stopped");
});

Deno.test("a slow reader gets everything as long as it moves, even within one large chunk", async () => {
  using clock = new ManualClock();
  const { pump, writer, target, end } = pumped();
  void pump.drain(DRAIN_MS);
  const bytes = Uint8Array.from({ length: 60_000 }, (_, i) => i % 251);
  void writer.write(bytes).then(() => writer.end());
  await settle();
  for (let taken = 0; taken < bytes.length; taken += 6000) {
    assert.equal(end(), null, `given up after ${taken} bytes`);
    await clock.advance(DRAIN_MS * 0.9);
    target.take(6000);
    await settle();
  }
  assert.deepEqual(await pump.ended, { kind: "complete" });
  assert.deepEqual(Uint8Array.from(target.taken), bytes);
});

Deno.test("abandon ends the pump at once, also while it drains", async () => {
  using clock = new ManualClock();
  const { pump, writer, closed } = pumped();
  await writer.write(Uint8Array.of(1));
  const drained = pump.drain(DRAIN_MS);
  pump.abandon();
  assert.deepEqual(await drained, { kind: "reader-stopped" });
  assert.deepEqual([closed(), clock.pending], [1, 0]);
});

Deno.test("the pump does not end before the reader has read the last byte", async () => {
  using clock = new ManualClock();
  const { target, pump, writer, end } = pumped();
  target.take(3);
  target.unreadBytes = 3;
  await writer.write(Uint8Array.of(1, 2, 3));
  await writer.end();
  for (let ms = 0; ms < 100; ms++) await clock.advance(1);
  assert.equal(end(), null);
  void pump.drain(DRAIN_MS);
  // Each byte that a slow reader takes restarts its deadline.
  for (const left of [2, 1]) {
    await clock.advance(DRAIN_MS * 0.9);
    target.unreadBytes = left;
    await clock.advance(50);
    assert.equal(end(), null, `given up with ${left} unread`);
  }
  target.unreadBytes = 0;
  await clock.advance(50);
  assert.equal(end(), "complete");
  assert.equal(clock.pending, 0);
});

Deno.test("delivered bytes that are not read delay the end of a drained pump by 2 s at most", async () => {
  using clock = new ManualClock();
  const { target, pump, writer, end } = pumped();
  target.unreadBytes = 3;
  await writer.end();
  void pump.drain(60 * 60_000);
  await settle();
  for (let ms = 0; ms < 1_984; ms += 32) await clock.advance(32);
  await clock.advance(15);
  assert.equal(end(), null);
  await clock.advance(1);
  assert.equal(end(), "complete", "they are not lost: they stay in the FIFO");
  assert.equal(clock.pending, 0);
});
