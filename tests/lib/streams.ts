/** Streams of some size through a container: not a byte may be lost on the way, nor come twice. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client, ctr, runArguments, type Snapshotter } from "./ctr.ts";

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** All output arrives, though the container ends with the last byte. */
export async function outputArrives(
  id: string,
  snapshotter: Snapshotter,
  byteCount: number,
): Promise<void> {
  // `exec`: the last write to the pipe is the last thing that the container's only process does.
  const script = `head -c ${byteCount} /dev/urandom > /dev/shm/random
    sha256sum /dev/shm/random >&2
    exec cat /dev/shm/random`;
  const { code, output, stderr } = await ctr(
    ...runArguments(id, ["sh", "-c", script], { snapshotter, flags: ["--rm"] }),
  );
  assert.equal(code, 0);
  assert.equal(output.length, byteCount);
  assert.equal(stderr, `${sha256(output)}  /dev/shm/random\n`);
}

/** What goes in comes out as it was. */
export async function inputComesBack(
  id: string,
  snapshotter: Snapshotter,
  byteCount: number,
): Promise<void> {
  const input = randomBytes(byteCount);
  await using client = new Client(
    runArguments(id, ["cat"], { snapshotter, flags: ["--rm"] }),
    { input: true },
  );
  // If it ends before it has taken everything, how it ended is what is to be told.
  let taken = "not all of it";
  client.write(input).then(() => {
    taken = "all of it";
    return client.endInput();
  }).catch((error) => taken += `, ${error}`);
  const { code, output, stderr } = await client.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  if (sha256(output) === sha256(input)) return;
  const parted = output.findIndex((byte, at) => byte !== input[at]);
  const where = parted === -1 ? "the beginning of the input" : `other bytes from ${parted} on`;
  const told = `${output.length} bytes, ${where}; ctr had taken ${taken}`;
  assert.equal(output.length, byteCount, told);
  assert.fail(told);
}

/** getRandomValues gives at most 64 KiB at a time. */
function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return bytes;
}
