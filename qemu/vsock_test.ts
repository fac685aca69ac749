import assert from "node:assert/strict";
import fc from "fast-check";
import { VmError } from "./error.ts";
import { MemoryStream } from "./testing/memory_stream.ts";
import { requestPort } from "./vsock.ts";

Deno.test("requestPort reads the answer and not one byte more, wherever it is split", async () => {
  await fc.assert(fc.asyncProperty(
    fc.nat(0xffff_ffff),
    fc.string(),
    fc.integer({ min: 1, max: 20 }),
    async (port, payload, size) => {
      const stream = new MemoryStream();
      const all = new TextEncoder().encode(`OK ${port}\n${payload}`);
      for (let at = 0; at < all.length; at += size) stream.give(all.subarray(at, at + size));
      await requestPort(stream, 1025);
      assert.deepEqual(stream.written, ["CONNECT 1025\n"]);
      assert.equal(
        await stream.rest(),
        new TextDecoder().decode(new TextEncoder().encode(payload)),
      );
    },
  ));
});

Deno.test("the error names a port on which the guest does not listen", async () => {
  const stream = new MemoryStream();
  stream.end();
  await assert.rejects(requestPort(stream, 1026), {
    kind: "protocol",
    message: "guest does not listen on vsock port 1026",
  });
});

Deno.test("requestPort refuses any other answer after a bounded number of bytes", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (answer) => {
    const stream = new MemoryStream();
    stream.give(answer);
    stream.end();
    await assert.rejects(
      requestPort(stream, 1025),
      (error) => error instanceof VmError && error.kind === "protocol",
    );
  }));
});

Deno.test("aborting requestPort rejects it", async () => {
  const controller = new AbortController();
  const dial = requestPort(new MemoryStream(), 1025, controller.signal);
  controller.abort();
  await assert.rejects(dial, { name: "AbortError" });
});
