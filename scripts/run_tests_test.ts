import assert from "node:assert/strict";
import { parseOptions, withStep } from "./run_tests.ts";

Deno.test("options of the test command", () => {
  assert.deepEqual(parseOptions([]), { full: false, only: null });
  assert.deepEqual(parseOptions(["--full", "--only", "e2e"]), { full: true, only: "e2e" });
  assert.throws(() => parseOptions(["--only", "some"]), /unit or e2e/);
  assert.throws(() => parseOptions(["--ful"]));
  assert.throws(() => parseOptions(["tests/"]));
});

Deno.test("a step that fails without a failed test is a failure all the same", () => {
  const none = { passed: 3, failed: 0, skipped: [] };
  assert.deepEqual(withStep(none, true), { ...none, passed: 4 });
  assert.deepEqual(withStep(none, false), { ...none, failed: 1 });
  assert.deepEqual(withStep({ ...none, failed: 2 }, false), { ...none, failed: 2 });
});
