import assert from "node:assert/strict";
import { circles } from "./circles.ts";
import { sourceFile } from "./source_file.ts";

/** `{ a: "b c" }`: x/a.ts imports x/b.ts and x/c.ts. */
const graph = (imports: Record<string, string>) =>
  Object.entries(imports).map(([name, others]) =>
    sourceFile(
      `x/${name}.ts`,
      others.split(" ").map((other) => `import type { X } from "./${other}.ts";\n`).join(""),
    )
  );

Deno.test("two ways to one file are not a circle", () => {
  assert.deepEqual(circles(graph({ a: "b c", b: "d", c: "d", d: "absent" })), []);
});

Deno.test("a circle is reported once, with all of its files", () => {
  assert.deepEqual(circles(graph({ a: "b", b: "c", c: "d", d: "b" })), [
    "x/b.ts: circle of imports: x/b.ts > x/c.ts > x/d.ts > x/b.ts",
  ]);
  assert.deepEqual(circles(graph({ a: "a" })), [
    "x/a.ts: circle of imports: x/a.ts > x/a.ts",
  ]);
});

Deno.test("of several circles, each file is in one that is reported", () => {
  assert.deepEqual(circles(graph({ a: "b", b: "a c", c: "d", d: "a", e: "f", f: "e" })), [
    "x/a.ts: circle of imports: x/a.ts > x/b.ts > x/a.ts",
    "x/c.ts: circle of imports: x/c.ts > x/d.ts > x/a.ts > x/b.ts > x/c.ts",
    "x/e.ts: circle of imports: x/e.ts > x/f.ts > x/e.ts",
  ]);
});
