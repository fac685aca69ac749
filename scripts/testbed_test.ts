import assert from "node:assert/strict";
import { parseArguments } from "./testbed.ts";

Deno.test("options stop at the first word of the command", () => {
  const none = { debug: false, labMinutes: null };
  assert.deepEqual(parseArguments(["ctr", "--debug"]), { ...none, command: ["ctr", "--debug"] });
  assert.deepEqual(parseArguments(["--debug", "ls", "-l"]), {
    ...none,
    debug: true,
    command: ["ls", "-l"],
  });
  assert.deepEqual(parseArguments(["--debug", "--", "-x"]), {
    ...none,
    debug: true,
    command: ["-x"],
  });
  assert.throws(() => parseArguments([]), /no command/);
  assert.throws(() => parseArguments(["--debug"]), /no command/);
  assert.throws(() => parseArguments(["--kvmm", "ls"]), /unknown option --kvmm/);
});

Deno.test("a lab always has a deadline", () => {
  assert.deepEqual(parseArguments(["--kvm", "ls"]).labMinutes, 30);
  assert.deepEqual(parseArguments(["--kvm", "--deadline", "0.5", "ls"]).labMinutes, 0.5);
  assert.throws(() => parseArguments(["--kvm", "--deadline", "soon", "ls"]), /minutes, not soon/);
  assert.throws(() => parseArguments(["--kvm", "--deadline"]), /minutes, not undefined/);
  assert.throws(() => parseArguments(["--deadline", "1", "ls"]), /--deadline requires --kvm/);
});
