import assert from "node:assert/strict";
import { parseOptions, summary, withStep } from "./run_tests.ts";

Deno.test("the test command accepts its options and nothing else", () => {
  assert.deepEqual(parseOptions([]), { full: false, only: null });
  assert.deepEqual(parseOptions(["--full", "--only", "e2e"]), { full: true, only: "e2e" });
  assert.throws(() => parseOptions(["--only", "some"]), /unit or e2e/);
  assert.throws(() => parseOptions(["--ful"]));
  assert.throws(() => parseOptions(["tests/"]));
});

const ERROR = "--- lint: FAILED (1.0 s)\nerror: no";

Deno.test("a step that fails without a failed test counts as a failed test", () => {
  const none = { passed: 3, failed: 0, skipped: [], failures: [] };
  assert.deepEqual(withStep(none, "lint", null), { ...none, passed: 4 });
  const itself = { name: "lint", text: ERROR };
  assert.deepEqual(withStep(none, "lint", ERROR), { ...none, failed: 1, failures: [itself] });
  const two = [{ name: "a", text: "1" }, { name: "b", text: "2" }];
  const failed = { ...none, failed: 2, failures: two };
  assert.deepEqual(withStep(failed, "unit tests", ERROR), failed);
});

Deno.test("the summary names failures and their reasons, and ends with the counts", () => {
  const counts = {
    passed: 7,
    failed: 1,
    skipped: ["step: needs root rights"],
    failures: [{ name: "a_test.ts: a", text: "Error: x\n    at y" }],
  };
  assert.equal(
    summary(counts, ["unit tests"]),
    `
skipped:
  step: needs root rights

FAILED: unit tests

FAILED a_test.ts: a
  | Error: x
  |     at y

7 passed, 1 failed, 1 skipped`,
  );
  assert.equal(
    summary({ passed: 2, failed: 0, skipped: [], failures: [] }, []),
    `
2 passed, 0 failed, 0 skipped`,
  );
});
