import assert from "node:assert/strict";
import { violations } from "./check_imports.ts";

Deno.test("an import that the table allows is fine", () => {
  assert.deepEqual(violations("shim/a.ts", 'import { Vm } from "../qemu/mod.ts";\n'), []);
  assert.deepEqual(violations("shim/a.ts", 'import { z } from "zod";\nimport "./b.ts";\n'), []);
});

Deno.test("each kind of violation is found and names the file", () => {
  const cases: [string, string, RegExp][] = [
    ["ffi/a.ts", 'import { x } from "../proto/mod.ts";', /ffi\/ may not import proto\//],
    ["guest/a.ts", 'export * from "../qemu/mod.ts";', /guest\/ may not import qemu\//],
    ["shim/a.ts", 'import { x } from "../qemu/args.ts";', /import qemu\/mod.ts instead/],
    ["shim/a.ts", 'const x = await import("../guest/mod.ts");', /may not import guest\//],
    ["qemu/a.ts", 'import {\n  x,\n} from "../shim/mod.ts";', /may not import shim\//],
    ["net/a.ts", 'import x from "jsr:@std/fs";', /only npm packages/],
    ["shim/a.ts", "const l = Deno.dlopen('libc.so.6', {});", /belong in ffi\//],
    ["shim/a.ts", "x\n".repeat(500), /split it by concept/],
  ];
  for (const [path, source, expected] of cases) {
    const [found] = violations(path, source);
    assert.match(found ?? "", expected);
    assert.ok(found!.startsWith(path));
  }
});
