/**
 * proto/gen/ is committed, so that a build needs no compilers from npm. This test keeps it current.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../scripts/generate_proto.ts", import.meta.url));
const UNAVAILABLE = 69;

// Runs before the test is declared, because the test's name tells whether it was possible.
const { code, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "--allow-all", SCRIPT, "--check"],
  stdin: "null",
}).output();

Deno.test({
  name: `the generated code matches the .proto files${
    code === UNAVAILABLE ? " (skipped: npm is out of reach)" : ""
  }`,
  ignore: code === UNAVAILABLE,
  fn: () => assert.equal(code, 0, new TextDecoder().decode(stderr)),
});
