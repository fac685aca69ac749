/** proto/gen/ is committed, so that nobody needs npm's compilers to build; this keeps it true. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../scripts/generate_proto.ts", import.meta.url));
const UNAVAILABLE = 69;

// Run before the test is declared, whose name says whether it could be.
const { code, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "--allow-all", SCRIPT, "--check"],
  stdin: "null",
}).output();

Deno.test({
  name: `the generated code is that of the .proto files${
    code === UNAVAILABLE ? " (skipped: npm is out of reach)" : ""
  }`,
  ignore: code === UNAVAILABLE,
  fn: () => assert.equal(code, 0, new TextDecoder().decode(stderr)),
});
