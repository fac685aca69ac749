import assert from "node:assert/strict";
import { parseJunit } from "./junit.ts";

/** As Deno 2.4.2 wrote it. */
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

Deno.test("passed, failed and skipped tests are told apart", () => {
  assert.deepEqual(parseJunit(REPORT), {
    passed: 2,
    failed: 1,
    skipped: ['./a_test.ts: skip me (needs "root")'],
  });
  assert.deepEqual(parseJunit(""), { passed: 0, failed: 0, skipped: [] });
});
