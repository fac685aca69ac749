import assert from "node:assert/strict";
import { isTest, isTestSupport, sourceFile } from "./source_file.ts";

const importsOf = (text: string) => sourceFile("shim/task/a.ts", text).imports;

Deno.test("imports and re-exports are read with the names they take", () => {
  const cases: [string, string | null, readonly string[] | "all"][] = [
    ['import { a, type B, c as d } from "./x.ts";', "shim/task/x.ts", ["a", "B", "c"]],
    ['import {\n  a, // why\n  type B,\n} from "../x.ts";', "shim/x.ts", ["a", "B"]],
    ['import type { A } from "../../ffi/mod.ts";', "ffi/mod.ts", ["A"]],
    ['import a, { b } from "./x.ts";', "shim/task/x.ts", "all"],
    ['import * as a from "./x.ts";', "shim/task/x.ts", "all"],
    ['import "./x.ts";', "shim/task/x.ts", []],
    ['export { a as b } from "./x.ts";', "shim/task/x.ts", ["a"]],
    ['export * from "./x.ts";', "shim/task/x.ts", "all"],
    ['const { a } = await import("./x.ts");', "shim/task/x.ts", "all"],
    ['type A = import("./x.ts").A;', "shim/task/x.ts", "all"],
    ['import { z } from "zod";', null, ["z"]],
  ];
  for (const [text, target, names] of cases) {
    const [found] = importsOf(`const before = 1;\n${text}\n`);
    assert.deepEqual({ target: found?.target, names: found?.names }, { target, names }, text);
  }
});

Deno.test("comments and exports of the file's own are not imports", () => {
  assert.deepEqual(importsOf('// import("./x.ts")\n/** import "./x.ts" */\nexport { a };\n'), []);
  assert.deepEqual(importsOf('export function a() {\n  return "from";\n}\n'), []);
});

Deno.test("tests are *_test.ts, tests/ and what lies below testing/", () => {
  for (const path of ["shim/a_test.ts", "tests/lib/a.ts", "qemu/testing/a.ts"]) {
    assert.ok(isTest(path), path);
  }
  assert.ok(!isTest("shim/a.ts"));
  assert.ok(isTestSupport("shim/plan/testing/a.ts"));
  assert.ok(!isTestSupport("shim/testing.ts"));
});
