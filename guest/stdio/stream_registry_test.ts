import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type ByteStream, openStream } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { StreamRegistry } from "./stream_registry.ts";

Deno.test("a stream is served once, to the connection that dials it", async () => {
  const streams = new StreamRegistry();
  const served: ByteStream[] = [];
  using _registration = streams.add("c1/init/stdout", (connection) => {
    served.push(connection);
    return Promise.resolve();
  });

  const [host, guest] = memoryPair();
  const serving = streams.serve(guest);
  await openStream(host, "c1/init/stdout");
  await serving;
  assert.deepEqual(served, [guest]);

  const [secondHost, secondGuest] = memoryPair();
  const second = streams.serve(secondGuest);
  await assert.rejects(openStream(secondHost, "c1/init/stdout"), /connected already/);
  await second;
  assert.equal(served.length, 1);
});

Deno.test("unknown and removed streams are refused", async () => {
  const streams = new StreamRegistry(5);
  streams.add("old", () => Promise.resolve())[Symbol.dispose]();
  for (const id of ["old", "new"]) {
    const [host, guest] = memoryPair();
    const serving = streams.serve(guest);
    await assert.rejects(openStream(host, id), /no such stream/);
    await serving;
  }
});

Deno.test("a dial that overtakes its stream waits for it, and a second dial is refused", async () => {
  const streams = new StreamRegistry();
  const served: ByteStream[] = [];
  const dials = [memoryPair(), memoryPair()];
  const serving = dials.map(([, guest]) => streams.serve(guest));
  const opened = dials.map(([host]) => openStream(host, "c1/init/stdout"));
  await delay(5);
  streams.add("c1/init/stderr", () => Promise.reject(new Error("another one")));
  streams.add("c1/init/stdout", (connection) => Promise.resolve(void served.push(connection)));
  await opened[0];
  await assert.rejects(opened[1]!, /connected already/);
  await Promise.all(serving);
  assert.deepEqual(served, [dials[0]![1]]);
});

Deno.test("an id is taken once, and dispose frees only its own entry", () => {
  const streams = new StreamRegistry();
  const first = streams.add("a", () => Promise.resolve());
  assert.throws(() => streams.add("a", () => Promise.resolve()), /already exists/);
  first[Symbol.dispose]();
  streams.add("a", () => Promise.resolve());
  first[Symbol.dispose]();
  assert.throws(() => streams.add("a", () => Promise.resolve()), /already exists/);
});

Deno.test("a connection that breaks before its answer leaves the stream to the next", async () => {
  const streams = new StreamRegistry();
  let served = 0;
  streams.add("a", () => Promise.resolve(void served++));
  const [host, guest] = memoryPair();
  const deaf: ByteStream = {
    read: (into, options) => guest.read(into, options),
    write: () => Promise.reject(new Error("broken")),
    close: () => guest.close(),
  };
  const serving = streams.serve(deaf);
  await assert.rejects(openStream(host, "a"));
  await serving;
  assert.equal(served, 0);

  const [again, there] = memoryPair();
  const second = streams.serve(there);
  await openStream(again, "a");
  await second;
  assert.equal(served, 1);
});

Deno.test("a connection that ends before its stream id is closed", async () => {
  const streams = new StreamRegistry();
  const [host, guest] = memoryPair();
  host.close();
  await streams.serve(guest);
  assert.equal(await guest.read(new Uint8Array(1)), null);
});
