import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import { describe, openConsole } from "./console.ts";

Deno.test("the log is one short line per message", async () => {
  const path = await Deno.makeTempFile();
  try {
    const console = openConsole(system, path);
    console.log("first\n  second");
    const line = await Deno.readTextFile(path);
    assert.equal(line, "vminitd: first | second\n");
    console.log("x".repeat(10_000));
    assert.ok((await Deno.readTextFile(path)).length < 2_100);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a console that is not there is no reason to fail", () => {
  openConsole(system, "/nonexistent/console").log("unheard");
});

Deno.test("anything thrown can be described", () => {
  assert.equal(describe(new TypeError("bad")), "TypeError: bad");
  assert.equal(describe("text"), "text");
});
