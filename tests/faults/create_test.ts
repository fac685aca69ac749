/**
 * Create fails at each step, and at each system call that acquires something: nothing is left. The
 * same holds for a container that joins a pod.
 */

import assert from "node:assert/strict";
import { fault } from "../lib/testbed.ts";
import { run } from "./run.ts";

const RIG = new URL("create_rig.ts", import.meta.url).pathname;
const JOIN_RIG = new URL("join_rig.ts", import.meta.url).pathname;
/**
 * Directory, image, disk, console log, network, VM, bundle, connection, checkpoint, clock, NICs,
 * container, streams, pod.
 */
const STEPS = 14;
/** Fewer would mean that the double no longer sees the calls of Create. */
const CALLS_MIN = 15;
/** Failures for a container that joins a pod: mounts only, and two calls of the guest. */
const JOIN_MIN = 11;

for (const [what, countMin] of [["steps", STEPS], ["calls", CALLS_MIN]] as const) {
  fault(`Create that fails at any of its ${what} leaves nothing`, async () => {
    const lines = await failures(RIG, what);
    assert(lines.length >= countMin, lines.join("\n"));
    if (what === "steps") assert.equal(lines.length, STEPS, lines.join("\n"));
  });
}

fault("a container that fails to join a pod at any call leaves nothing", async () => {
  const lines = await failures(JOIN_RIG);
  assert(lines.length >= JOIN_MIN, lines.join("\n"));
});

/** Runs a rig. Returns a line for each failure that left nothing. */
async function failures(rig: string, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await run(Deno.execPath(), [
    ...["run", "--quiet", "--allow-all", "--no-check", rig, ...args],
  ]);
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout.split("\n").filter((line) => line.endsWith(": nothing is left"));
}
