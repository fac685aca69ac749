import assert from "node:assert/strict";
import { FAILURE_LINES_MAX, parseJunit } from "./junit.ts";

/** Written by Deno 2.4.2. */
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="0" time="0.008">
    <testsuite name="./a_test.ts" tests="5" disabled="2" errors="0" failures="1">
        <testcase name="ok &amp; &lt;fine&gt;" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="skip me (needs &quot;root&quot;)" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.000" line="3" col="6">
            <failure message="Uncaught Error: x &lt;y&gt;">Error: x &lt;y&gt;
    at file:///tmp/jt/a_test.ts</failure>
        </testcase>
        <testcase name="ok &amp; &lt;fine&gt; &gt; sub" classname="./a_test.ts" time="0.000" line="1" col="47">
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("parseJunit counts passed, failed and skipped tests", () => {
  assert.deepEqual(parseJunit(REPORT), {
    passed: 2,
    failed: 1,
    skipped: ['./a_test.ts: skip me (needs "root")'],
    failures: [{
      name: "./a_test.ts: bad",
      text: "Error: x <y>\n    at file:///tmp/jt/a_test.ts",
    }],
  });
  assert.deepEqual(parseJunit(""), { passed: 0, failed: 0, skipped: [], failures: [] });
});

Deno.test("a long failure keeps its first lines", () => {
  const lines = Array.from({ length: FAILURE_LINES_MAX + 2 }, (_, index) => `line ${index}`);
  const { failures } = parseJunit(
    `<testcase name="a" classname="f"><failure message="m">${
      lines.join("\n")
    }</failure></testcase>`,
  );
  const kept = failures[0]!.text.split("\n");
  assert.deepEqual(kept.slice(0, -1), lines.slice(0, FAILURE_LINES_MAX));
  assert.equal(kept.at(-1), "(2 more lines)");
});

Deno.test("a failure without a text has its message as text", () => {
  const report =
    '<testcase name="a" classname="f"><failure message="no &#10;report"></failure></testcase>';
  assert.deepEqual(parseJunit(report).failures, [{ name: "f: a", text: "no \nreport" }]);
});
