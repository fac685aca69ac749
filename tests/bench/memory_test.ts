import assert from "node:assert/strict";
import { usedMib } from "./memory.ts";

Deno.test("used memory is what is not available", () => {
  const meminfo = "MemTotal:         500000 kB\nMemFree:  300000 kB\nMemAvailable:     418080 kB\n";
  assert.equal(usedMib(meminfo), 80);
  assert.throws(() => usedMib("MemTotal: 1 kB\n"), /no MemAvailable/);
});
