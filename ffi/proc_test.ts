import assert from "node:assert/strict";
import fc from "fast-check";
import { isProcess, processStartTime, startTimeOf } from "./proc.ts";

const PID_NEVER = 4_194_305; // one above the kernel's PID_MAX_LIMIT

Deno.test("isProcess recognizes a process by its start time", () => {
  const start = processStartTime(Deno.pid);
  assert(start !== null && /^\d+$/.test(start));
  assert(isProcess(Deno.pid, start));
  assert(!isProcess(Deno.pid, `${start}0`));
  assert(!isProcess(1, start));
  assert.equal(processStartTime(PID_NEVER), null);
  assert(!isProcess(PID_NEVER, start));
});

Deno.test("field 22 is found whatever the name of the process", () => {
  const rest = Array.from({ length: 49 }, (_, index) => String(index + 4)).join(" ");
  fc.assert(fc.property(fc.string({ maxLength: 15 }), (name) => {
    assert.equal(startTimeOf(`7 (${name}) S ${rest}\n`), "22");
  }));
  assert.equal(startTimeOf(`7 (a) R 1 (b) S ${rest}\n`), "22");
});

Deno.test("text that is not a stat line has no start time", () => {
  fc.assert(fc.property(fc.string(), (line) => {
    const found = startTimeOf(line);
    assert(found === null || /^\d+$/.test(found));
  }));
  assert.equal(startTimeOf("7 (sh) S 1 2"), null);
});
