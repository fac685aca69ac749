import assert from "node:assert/strict";
import { inOrder, plan } from "./test_plan.ts";

Deno.test("the most important tests run first", () => {
  const files = [
    "tests/bench/a",
    "tests/conformance/b",
    "tests/e2e/c",
    "tests/e2e/d",
    "tests/net/e",
  ];
  const [bench, conformance, c, d, net] = files;
  assert.deepEqual(inOrder(files), [c, d, conformance, bench, net]);
});

Deno.test("the plan runs each part, and only a full run has no time limits", () => {
  const [short, full] = [[...plan(false)], [...plan(true)]];
  const headings = [
    ...["format", "lint", "types", "import table", "unit tests", "fuzzing"],
    ...["build", "a newer containerd"],
    ...["crictl", "nerdctl", "types of tests", "tests on the host", "tests in the testbed"],
    "tests in the lab",
  ];
  for (const steps of [short, full]) {
    assert.deepEqual(steps.map(({ heading }) => heading), headings);
    assert.deepEqual(
      steps.filter(({ part }) => part === "unit").map(({ heading }) => heading),
      headings.slice(0, 6),
    );
  }
  const limit = (steps: typeof short) => {
    const { argv } = steps.find(({ heading }) => heading === "tests in the testbed")!;
    return Number(argv[argv.findIndex((word) => word.endsWith("/test_files.ts")) + 3]);
  };
  assert.equal(limit(full), Infinity);
  assert.ok(Math.abs(limit(short) - Date.now() / 1000 - 50 * 60) < 60);
});
