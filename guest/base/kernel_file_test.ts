import assert from "node:assert/strict";
import fc from "fast-check";
import { isSystemError, poller, system } from "../../ffi/mod.ts";
import { flatKeyed, KernelFile } from "./kernel_file.ts";

Deno.test("flatKeyed returns lines of a name and a number, and skips others", () => {
  const text = "populated 1\nfrozen 0\nbad\nmax max\nlarge 18446744073709551615\nx 1 2\n";
  assert.deepEqual([...flatKeyed(text)], [
    ["populated", 1n],
    ["frozen", 0n],
    ["large", 18446744073709551615n],
  ]);
});

Deno.test("flatKeyed takes any text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    for (const value of flatKeyed(text).values()) assert.equal(typeof value, "bigint");
  }));
});

Deno.test("read starts at the beginning each time, and dispose closes once", async () => {
  const path = await Deno.makeTempFile();
  const file = new KernelFile(system, poller, path);
  for (const value of [1, 2]) {
    Deno.writeTextFileSync(path, `oom_kill ${value}\n`);
    assert.equal(file.read().get("oom_kill"), BigInt(value));
  }
  await file.changed(); // an ordinary file is always ready
  file[Symbol.dispose]();
  file[Symbol.dispose]();
  assert.throws(() => file.read(), (error) => isSystemError(error, "EBADF"));
  await Deno.remove(path);
});
