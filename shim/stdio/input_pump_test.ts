import assert from "node:assert/strict";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { InputPump, type InputSource } from "./input_pump.ts";
import { settle } from "../testing/test_support.ts";

/** Stdin like a FIFO that is open for writing: it has no end. */
class FakeSource implements InputSource {
  readonly #chunks: string[] = [];
  #change = Promise.withResolvers<void>();
  closed = 0;
  failure: Error | null = null;

  type(text: string): void {
    this.#chunks.push(text);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async read(into: Uint8Array, { signal }: { signal?: AbortSignal } = {}): Promise<number | null> {
    const aborted = new Promise<never>((_, reject) =>
      signal?.addEventListener("abort", () => reject(signal.reason))
    );
    aborted.catch(() => {});
    for (;;) {
      signal?.throwIfAborted();
      const count = this.readNow(into);
      if (count !== null) return count;
      await Promise.race([this.#change.promise, aborted]);
    }
  }

  readNow(into: Uint8Array): number | null {
    if (this.failure !== null) throw this.failure;
    const chunk = this.#chunks.shift();
    return chunk === undefined ? null : new TextEncoder().encodeInto(chunk, into).written;
  }

  close(): void {
    this.closed++;
  }
}

function pumped() {
  const source = new FakeSource();
  const [host, guest] = memoryPair();
  const pump = new InputPump(source, new FrameWriter(host), () => host.close());
  let ended = false;
  void pump.ended.then(() => ended = true);
  return { source, pump, guest, reader: new FrameReader(guest), ended: () => ended };
}

/** Reads everything that the guest gets, to the clean end. */
async function received(reader: FrameReader): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let chunk = await reader.read(); chunk !== null; chunk = await reader.read()) {
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

Deno.test("bytes written before CloseIO arrive before the end", async () => {
  const { source, pump, reader } = pumped();
  source.type("one ");
  await settle();
  source.type("two ");
  source.type("three");
  pump.closeInput();
  assert.equal(await received(reader), "one two three");
  await pump.ended;
  assert.equal(source.closed, 1);
});

Deno.test("CloseIO without input is an empty input", async () => {
  const { pump, reader } = pumped();
  pump.closeInput();
  assert.equal(await received(reader), "");
});

Deno.test("a second CloseIO, or one after the end, changes nothing", async () => {
  const { source, pump, reader } = pumped();
  source.type("once");
  pump.closeInput();
  pump.closeInput();
  assert.equal(await received(reader), "once");
  await pump.ended;
  pump.closeInput();
  pump.stop();
  assert.equal(source.closed, 1);
});

Deno.test("input goes on after silence, as when a client detaches and comes back", async () => {
  const { source, pump, reader, ended } = pumped();
  source.type("before ");
  await settle();
  assert.ok(!ended(), "silence is not the end");
  source.type("after");
  await settle();
  pump.closeInput();
  assert.equal(await received(reader), "before after");
});

Deno.test("an input larger than all buffers arrives whole", async () => {
  const { source, pump, reader } = pumped();
  const part = "0123456789".repeat(5000);
  for (let i = 0; i < 20; i++) source.type(part);
  pump.closeInput();
  assert.equal(await received(reader), part.repeat(20));
});

Deno.test("stop ends a pump that waits for input, without a clean end", async () => {
  const { source, pump, reader } = pumped();
  await settle();
  pump.stop();
  assert.equal(await pump.ended, null);
  assert.equal(source.closed, 1);
  await assert.rejects(received(reader), "no clean end: CloseIO was not called");
});

Deno.test("stop ends a write that the guest does not read", async () => {
  const { source, pump, ended } = pumped();
  for (let i = 0; i < 4; i++) source.type("x".repeat(60_000));
  await settle();
  assert.ok(!ended());
  pump.stop();
  assert.equal(await pump.ended, null);
  assert.equal(source.closed, 1);
});

Deno.test("a guest that closes the stream ends the pump", async () => {
  const { source, pump, guest } = pumped();
  guest.close();
  source.type("never read");
  assert.equal(await pump.ended, null);
  assert.equal(source.closed, 1);
});

Deno.test("a read error ends the pump, and ended resolves with it", async () => {
  const { source, pump, reader } = pumped();
  source.type("before");
  await settle();
  source.failure = new Error("read: EIO");
  source.type("after");
  assert.equal(await pump.ended, source.failure);
  assert.equal(source.closed, 1);
  await assert.rejects(received(reader), "no clean end: something is missing");
});

Deno.test("a read error after stop is not reported", async () => {
  const { source, pump } = pumped();
  await settle();
  source.failure = new Error("read: EIO");
  pump.stop();
  source.type("wakes it");
  assert.equal(await pump.ended, null);
});
