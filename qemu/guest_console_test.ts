import assert from "node:assert/strict";
import { delay } from "../base/mod.ts";
import { GuestConsole } from "./guest_console.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A pipe that always has `flood` to read, until it is closed. */
function flooding(flood: string) {
  let isClosed = false;
  const stream = {
    reads: 0,
    read: async (into: Uint8Array) => {
      await null;
      if (isClosed) return null;
      stream.reads++;
      into.set(bytes(flood));
      return flood.length;
    },
    close: () => void (isClosed = true),
  };
  return stream;
}

Deno.test("a guest that floods its console is read at a bounded rate once it is ready", async () => {
  const stream = flooding("ready\n");
  const console = new GuestConsole("ready", () => {}, { perSecond: 20, burst: 5 });
  const reading = console.read(stream);
  await console.ready;
  await delay(300);
  assert.ok(stream.reads <= 15, `${stream.reads} reads`);
  assert.ok(stream.reads >= 6);
  const closedAt = performance.now();
  await reading[Symbol.asyncDispose]();
  assert.ok(performance.now() - closedAt < 40, "closing does not wait for the rate");
});

Deno.test("a guest that boots is read as fast as it writes", async () => {
  let left = 1000;
  const stream = {
    read: async (into: Uint8Array) => {
      await null;
      const text = left-- > 0 ? "[ 0.1] kernel\n" : "it is ready\n";
      if (left < -1) return null;
      into.set(bytes(text));
      return text.length;
    },
    close: () => {},
  };
  const console = new GuestConsole("ready", () => {}, { perSecond: 0.001, burst: 1 });
  console.read(stream);
  await console.ready;
  await console.ended();
  assert.equal(console.describe(), "last console line: it is ready");
});
