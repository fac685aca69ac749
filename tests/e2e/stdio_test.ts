/** Streams of some size: not a byte may be lost on the way, nor come twice. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { e2e, withBoth } from "./testbed.ts";

const MIB = 1024 * 1024;
const OUTPUT_BYTES = 32 * MIB;
const ROUND_TRIP_BYTES = 20 * MIB;

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

e2e("32 MiB of output arrive, though the container ends with the last byte", async (bench) => {
  await withBoth(async (snapshotter) => {
    // `exec`: the last write to the pipe is the last thing that the container's only process does.
    const script = `head -c ${OUTPUT_BYTES} /dev/urandom > /dev/shm/random
      sha256sum /dev/shm/random >&2
      exec cat /dev/shm/random`;
    const { code, output, stderr } = await ctr(
      ...runArguments(bench.newId(), ["sh", "-c", script], { snapshotter, flags: ["--rm"] }),
    );
    assert.equal(code, 0);
    assert.equal(output.length, OUTPUT_BYTES);
    assert.equal(stderr, `${sha256(output)}  /dev/shm/random\n`);
  });
});

e2e("20 MiB come back out of the container as they went in", async (bench) => {
  await withBoth(async (snapshotter) => {
    const input = randomBytes(ROUND_TRIP_BYTES);
    await using client = new Client(
      runArguments(bench.newId(), ["cat"], { snapshotter, flags: ["--rm"] }),
      { input: true },
    );
    await client.write(input);
    await client.endInput();
    const { code, output, stderr } = await client.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    assert.equal(output.length, ROUND_TRIP_BYTES);
    assert.equal(sha256(output), sha256(input));
  });
});

/** getRandomValues gives at most 64 KiB at a time. */
function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}
