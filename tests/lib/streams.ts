/** Large streams through a container: no byte may be lost or come twice. */

import assert from "node:assert/strict";
import { randomBytes, sha256 } from "./bytes.ts";
import { Client, ctr, runArguments, type Snapshotter } from "./ctr.ts";

/** Checks that all output arrives, though the container exits with the last byte. */
export async function outputArrives(
  id: string,
  snapshotter: Snapshotter,
  byteCount: number,
): Promise<void> {
  // exec: the last write to the pipe is the last thing that the container's only process does.
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

/** Checks that standard input comes back unchanged. */
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
  // If ctr exits before it has read everything, its exit is what to report.
  let taken = "not all of it";
  client.write(input).then(() => {
    taken = "all of it";
    return client.endInput();
  }).catch((error) => taken += `, ${error}`);
  const { code, output, stderr } = await client.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  if (sha256(output) === sha256(input)) return;
  const differs = output.findIndex((byte, at) => byte !== input[at]);
  const where = differs === -1 ? "the input, cut short" : `wrong from byte ${differs} on`;
  const message = `${output.length} bytes, ${where}; ctr had read ${taken}`;
  assert.equal(output.length, byteCount, message);
  assert.fail(message);
}
