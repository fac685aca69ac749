import assert from "node:assert/strict";
import { memoryPair } from "./memory_pair.ts";
import { concatenate, pattern } from "./test_streams.ts";

Deno.test("bytes go both ways in order and are copied from the writer", async () => {
  const [one, other] = memoryPair();
  const sent = Uint8Array.of(1, 2, 3);
  await one.write(sent);
  sent.fill(9);
  await other.write(Uint8Array.of(4));
  const into = new Uint8Array(2);
  assert.equal(await other.read(into), 2);
  assert.deepEqual([...into], [1, 2]);
  assert.equal(await other.read(into), 1);
  assert.equal(into[0], 3);
  assert.equal(await one.read(into), 1);
  assert.equal(into[0], 4);
});

Deno.test("a writer waits for its reader", async () => {
  const [one, other] = memoryPair();
  const sent = pattern(300_000);
  let written = false;
  const writing = one.write(sent).then(() => written = true);
  const chunks = [];
  for (let bytes = 0; bytes < sent.length;) {
    assert.equal(written, false);
    const into = new Uint8Array(50_000);
    const count = await other.read(into);
    bytes += count!;
    chunks.push(into.subarray(0, count!));
  }
  await writing;
  assert.deepEqual(concatenate(chunks), sent);
});

Deno.test("after close the peer reads the rest and then null, and writes fail", async () => {
  const [one, other] = memoryPair();
  const pending = one.read(new Uint8Array(1));
  await one.write(Uint8Array.of(1));
  one.close();
  one.close();
  assert.equal(await pending, null);
  assert.equal(await other.read(new Uint8Array(9)), 1);
  assert.equal(await other.read(new Uint8Array(9)), null);
  await assert.rejects(other.write(Uint8Array.of(1)), { code: "EPIPE" });
  await assert.rejects(one.write(Uint8Array.of(1)), { code: "EPIPE" });
});

Deno.test("a waiting read and a waiting write can be aborted", async () => {
  const [one, other] = memoryPair();
  const abort = new AbortController();
  const waiting = [
    one.read(new Uint8Array(1), { signal: abort.signal }),
    other.read(new Uint8Array(1)),
    one.write(new Uint8Array(200_000), { signal: abort.signal }),
  ];
  abort.abort(new Error("enough"));
  await assert.rejects(waiting[0]!, /enough/);
  assert.equal(await waiting[1]!, 1);
  await assert.rejects(waiting[2]!, /enough/);
});
