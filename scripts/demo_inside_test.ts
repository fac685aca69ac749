import assert from "node:assert/strict";
import { complaints } from "./demo_inside.ts";

const GOOD = {
  code: 42,
  stdout: "hello from a container\n7.2.12-qemubox\nMemTotal: 1 kB\n",
  stderr: "",
  seconds: 1,
};

Deno.test("the demo reports each thing that is wrong", () => {
  assert.deepEqual(complaints(GOOD, "6.1.0"), []);
  assert.equal(complaints({ ...GOOD, code: 0 }, "6.1.0").length, 1);
  assert.equal(complaints({ ...GOOD, stdout: "" }, "6.1.0").length, 2);
  assert.equal(complaints(GOOD, "7.2.12-qemubox").length, 1);
});
