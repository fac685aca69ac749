import assert from "node:assert/strict";
import { MOMENTS, Timeline } from "./timeline.ts";

Deno.test("the line has every moment in order, relative to the start, and is reported once", () => {
  let now = 1000;
  const reported: string[] = [];
  const timeline = new Timeline((line) => reported.push(line), () => now);
  for (const moment of MOMENTS) {
    timeline.mark(moment);
    now += 10;
    timeline.mark(moment);
  }
  timeline.end();
  assert.deepEqual(reported, [
    "boot timeline (ms): start 0, vm spawned 10, kernel up 20, vminitd ready 30, crun created 40, " +
    "started 50, first output byte 60",
  ]);
});

Deno.test("a first byte before the answer of Start does not complete the timeline", () => {
  const reported: string[] = [];
  const timeline = new Timeline((line) => reported.push(line), () => 5);
  for (const moment of MOMENTS) if (moment !== "started") timeline.mark(moment, 1);
  assert.deepEqual(reported, []);
  timeline.mark("started");
  assert.match(reported.join(), /started 4, first output byte 0$/);
});

Deno.test("a container without output is reported at its end, without the missing moments", () => {
  const reported: string[] = [];
  const timeline = new Timeline((line) => reported.push(line), () => 5);
  timeline.mark("start");
  timeline.mark("started");
  assert.deepEqual(reported, []);
  timeline.end();
  assert.deepEqual(reported, ["boot timeline (ms): start 0, started 0"]);
});
