import assert from "node:assert/strict";
import { cpuSeconds, cpuSecondsOfStat } from "./cpu_time.ts";

Deno.test("CPU time is that of the process and of its exited children", () => {
  const stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 9 8 7 6 150 50 30 20 20 0 3 0 100 0 0";
  assert.equal(cpuSecondsOfStat(stat), 2.5);
  assert(cpuSeconds(Deno.pid) >= 0);
});
