import assert from "node:assert/strict";
import { parseArguments } from "./testbed.ts";

Deno.test("options end where the command begins", () => {
  assert.deepEqual(parseArguments(["ctr", "--debug"]), {
    debug: false,
    command: ["ctr", "--debug"],
  });
  assert.deepEqual(parseArguments(["--debug", "ls", "-l"]), { debug: true, command: ["ls", "-l"] });
  assert.deepEqual(parseArguments(["--debug", "--", "-x"]), { debug: true, command: ["-x"] });
  assert.throws(() => parseArguments([]), /no command/);
  assert.throws(() => parseArguments(["--debug"]), /no command/);
  assert.throws(() => parseArguments(["--kvmm", "ls"]), /unknown option --kvmm/);
});
