import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import { openConsole } from "./console.ts";

Deno.test("log writes one short, printable line per message", async () => {
  const path = await Deno.makeTempFile();
  const read = () => Deno.readTextFile(path);
  try {
    const console = openConsole(system, path);
    console.log("plain text");
    assert.equal(await read(), "vminitd: plain text\n");
    await Deno.truncate(path);
    console.log("first\n  second");
    assert.equal(await read(), "vminitd: first | second\n");
    await Deno.truncate(path);
    console.log("a\x1b[31mred\x07\u202e");
    assert.equal(await read(), "vminitd: a red\n");
    for (const letter of ["x", "é"]) {
      await Deno.truncate(path);
      console.log(letter.repeat(10_000));
      const line = await read();
      assert.ok(line.length < 2_100, String(line.length));
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a missing console is not an error", () => {
  openConsole(system, "/nonexistent/console").log("unheard");
});
