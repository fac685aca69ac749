import assert from "node:assert/strict";
import { directoryViolations } from "./directories.ts";
import { sourceFile } from "./source_file.ts";

const violations = (path: string, text: string) => directoryViolations(sourceFile(path, text));

Deno.test("imports that the table allows pass", () => {
  for (
    const text of [
      'import { Vm } from "../qemu/mod.ts";',
      'import { z } from "zod";\nimport "./b.ts";',
      'import { x } from "../base/mod.ts";',
    ]
  ) assert.deepEqual(violations("shim/a.ts", text), [], text);
});

Deno.test("tests import the testing/ files of other directories directly", () => {
  const text = 'import { x } from "../proto/testing/x.ts";';
  assert.deepEqual(violations("shim/a_test.ts", text), []);
  assert.deepEqual(violations("shim/testing/a.ts", text.replace("..", "../..")), []);
  assert.match(violations("shim/a.ts", text).join(), /import proto\/mod.ts instead/);
  assert.match(violations("ffi/a_test.ts", text).join(), /ffi\/ may not import proto\//);
  const inner = 'import { x } from "../proto/streams/x.ts";';
  assert.match(violations("shim/a_test.ts", inner).join(), /import proto\/mod.ts instead/);
});

Deno.test("each violation across directories is reported with the file", () => {
  const cases: [string, string, RegExp][] = [
    ["ffi/a.ts", 'import { x } from "../proto/mod.ts";', /ffi\/ may not import proto\//],
    ["guest/a.ts", 'export * from "../qemu/mod.ts";', /guest\/ may not import qemu\//],
    ["base/a.ts", 'import { x } from "../ffi/mod.ts";', /base\/ may not import ffi\//],
    ["shim/a.ts", 'import { x } from "../qemu/args.ts";', /import qemu\/mod.ts instead/],
    ["shim/a.ts", 'const x = await import("../guest/mod.ts");', /may not import guest\//],
    ["qemu/a.ts", 'import {\n  x,\n} from "../shim/mod.ts";', /may not import shim\//],
    ["net/a.ts", 'import x from "jsr:@std/fs";', /only npm packages/],
    ["shim/a.ts", "const l = Deno.dlopen('libc.so.6', {});", /allowed in ffi\/ only/],
    ["tests/a.ts", "const p = Deno.UnsafePointer.of(x);", /allowed in ffi\/ only/],
  ];
  for (const [path, text, expected] of cases) {
    const [found] = violations(path, text);
    assert.match(found ?? "", expected);
    assert.ok(found!.startsWith(`${path}: `));
  }
});
