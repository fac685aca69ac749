import assert from "node:assert/strict";
import { sourceFile } from "./source_file.ts";
import { unusedExports } from "./unused_exports.ts";

const unused = (files: Record<string, string>) =>
  unusedExports(Object.entries(files).map(([path, text]) => sourceFile(path, text)));

Deno.test("an export of a mod.ts that no file outside its directory uses is reported", () => {
  const found = unused({
    "a/mod.ts": 'export { b, type C, d as e } from "./x.ts";\nexport const f = 1;\n',
    "a/x.ts": 'import { f } from "./mod.ts";\n',
    "b/x.ts": 'import { b } from "../a/mod.ts";\n',
  });
  assert.deepEqual(found, [
    "a/mod.ts: exports C, which no file outside a/ uses",
    "a/mod.ts: exports e, which no file outside a/ uses",
    "a/mod.ts: exports f, which no file outside a/ uses",
  ]);
});

Deno.test("every form of import is a use, in tests too", () => {
  const module = 'export { a, type B } from "./x.ts";\nexport interface C {}\n';
  for (
    const user of [
      'import { a, type B, C as D } from "../a/mod.ts";\n',
      'import * as m from "../a/mod.ts";\nconst x: m.B = m.a as m.C;\n',
      'export { a, B, C } from "../a/mod.ts";\n',
      'export * from "../a/mod.ts";\n',
      'const m = await import("../a/mod.ts");\n',
    ]
  ) assert.deepEqual(unused({ "a/mod.ts": module, "b/x_test.ts": user }), [], user);
});

Deno.test("a namespace uses the members that are named", () => {
  const found = unused({
    "a/mod.ts": "export const a = 1;\nexport async function b() {}\n",
    "b/x.ts": 'import * as m from "../a/mod.ts";\nm.a;\n',
  });
  assert.deepEqual(found, ["a/mod.ts: exports b, which no file outside a/ uses"]);
});

Deno.test("export * exports what the other file does", () => {
  const found = unused({
    "a/mod.ts": 'export * from "./x.ts";\nexport * as y from "./y.ts";\n',
    "a/x.ts": "export abstract class A {}\nexport type B = 1;\nconst c = 1;\nexport { c };\n",
    "b/x.ts": 'import { B } from "../a/mod.ts";\n',
  });
  assert.deepEqual(found, [
    "a/mod.ts: exports y, which no file outside a/ uses",
    "a/mod.ts: exports c, which no file outside a/ uses",
    "a/mod.ts: exports A, which no file outside a/ uses",
  ]);
});

Deno.test("the mod.ts of an outer directory is a user of an inner one", () => {
  const inner = { "a/i/mod.ts": "export const x = 1;\n" };
  const outer = { "a/mod.ts": 'export { x } from "./i/mod.ts";\n' };
  assert.deepEqual(unused({ ...inner, ...outer }), [
    "a/mod.ts: exports x, which no file outside a/ uses",
  ]);
});
