/** Guards the cost of a boot; instructions.ts says how, and how to change the baseline. */

import assert from "node:assert/strict";
import { IN_LAB, IN_TESTBED } from "../lib/environment.ts";
import { countsIn } from "./instruction_counts.ts";
import { countInstructions, readBaseline } from "./instructions.ts";
import { grown } from "./instructions_baseline.ts";

Deno.test({
  name: "a boot takes no more instructions than the baseline allows",
  ignore: !IN_TESTBED || IN_LAB,
  fn: async () => assert.deepEqual(grown(await countInstructions(), readBaseline()), []),
});

const CONSOLE = `init clock now at 65000000 nsecs processor 17000000 waited full avg10=0.00 total=0
stage0 clock now at 75000000 nsecs processor 19000000 waited full avg10=0.00 total=5000
qemubox: stage 0

qemubox: vminitd ready
vminitd: vminitd started 282.1, main 335.5 (260.25), listening 386.0 (300.5), serving 390.0 (304.5) (ms since the kernel's start)
`;

Deno.test("counts are the kernel's time, and then PID 1's CPU time", () => {
  assert.deepEqual(countsIn(CONSOLE), {
    "kernel-to-init": 65,
    main: 311.25,
    ready: 351.5,
    serving: 355.5,
  });
});

Deno.test("a missing clock is named", () => {
  assert.throws(() => countsIn("nothing"), /stage 0 did not print its clocks: nothing/);
  assert.throws(
    () => countsIn(CONSOLE.replace("listening", "x")),
    /no CPU time of "listening"/,
  );
});

Deno.test("2 % more passes, and a larger growth is reported", () => {
  const baseline = { "kernel-to-init": 70, main: 200, ready: 300, serving: 310 };
  assert.deepEqual(grown({ ...baseline, main: 204 }, baseline), []);
  assert.deepEqual(grown({ ...baseline, ready: 309 }, baseline), [
    "ready: 309 million instructions, 3.0 % more than 300",
  ]);
  assert.throws(() => grown(baseline, {} as never), /no kernel-to-init/);
});
