/** Create fails at each step, and at each system call that acquires something: nothing is left. */

import assert from "node:assert/strict";
import { fault } from "../lib/testbed.ts";
import { run } from "./run.ts";

const RIG = new URL("create_rig.ts", import.meta.url).pathname;
/** Folder, image, disk, console log, network, VM, connection, checkpoint, clock, NICs, container, streams. */
const STEPS = 12;
/** Fewer would mean that the double no longer sees what Create does. */
const CALLS_MIN = 15;

for (const [what, countMin] of [["steps", STEPS], ["calls", CALLS_MIN]] as const) {
  fault(`Create failed at each of its ${what} leaves nothing`, async () => {
    const { code, stdout, stderr } = await run(Deno.execPath(), [
      ...["run", "--quiet", "--allow-all", "--no-check", RIG, what],
    ]);
    assert.equal(code, 0, `${stdout}${stderr}`);
    const lines = stdout.split("\n").filter((line) => line.endsWith(": nothing is left"));
    assert(lines.length >= countMin, stdout);
    if (what === "steps") assert.equal(lines.length, STEPS, stdout);
  });
}
