/**
 * Create fails at each step, and at each system call that acquires something: nothing is left. So it is
 * with a container that comes into a pod.
 */

import assert from "node:assert/strict";
import { fault } from "../lib/testbed.ts";
import { run } from "./run.ts";

const RIG = new URL("create_rig.ts", import.meta.url).pathname;
const JOIN_RIG = new URL("join_rig.ts", import.meta.url).pathname;
/** Folder, image, disk, console log, network, VM, connection, checkpoint, clock, NICs, container, streams. */
const STEPS = 12;
/** Fewer would mean that the double no longer sees what Create does. */
const CALLS_MIN = 15;
/** Of a container that comes into a pod: mounts alone, and two things of the guest. */
const JOIN_MIN = 11;

for (const [what, countMin] of [["steps", STEPS], ["calls", CALLS_MIN]] as const) {
  fault(`Create failed at each of its ${what} leaves nothing`, async () => {
    const lines = await failures(RIG, what);
    assert(lines.length >= countMin, lines.join("\n"));
    if (what === "steps") assert.equal(lines.length, STEPS, lines.join("\n"));
  });
}

fault("a container that cannot come into a pod leaves nothing, at each call", async () => {
  const lines = await failures(JOIN_RIG);
  assert(lines.length >= JOIN_MIN, lines.join("\n"));
});

/** What a rig has made fail, line by line; nothing was left of it. */
async function failures(rig: string, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await run(Deno.execPath(), [
    ...["run", "--quiet", "--allow-all", "--no-check", rig, ...args],
  ]);
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout.split("\n").filter((line) => line.endsWith(": nothing is left"));
}
