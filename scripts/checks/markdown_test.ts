import assert from "node:assert/strict";
import { anchorsOf, linksOf, tablesOf } from "./markdown.ts";

Deno.test("links are read outside of code, without those to other sites", () => {
  const text = [
    "[a](b.md) ![c](d/e.svg) [f\ng](../h.md#i-j) [k](#l) [m](https://example.org/n.md)",
    "`[o](p.md)`",
    "```",
    "[q](r.md)",
    "```",
  ].join("\n");
  assert.deepEqual(linksOf(text), [
    { path: "b.md", anchor: null },
    { path: "d/e.svg", anchor: null },
    { path: "../h.md", anchor: "i-j" },
    { path: "", anchor: "l" },
  ]);
});

Deno.test("anchors are the same as GitHub's", () => {
  const text = "# One, `two/three` & four's\n\n## A\n\n### A\n\n```sh\n# no heading\n```\n";
  assert.deepEqual([...anchorsOf(text)], ["one-twothree--fours", "a", "a-1"]);
});

Deno.test("tables are rows of cells, of the document or of one section", () => {
  const text = "## A\n\n| x | y |\n| --- |:-:|\n| `1 \\| 2` |  |\n\ntext\n\n## B\n\n| z |\n|---|\n";
  assert.deepEqual(tablesOf(text), [[["x", "y"], ["`1 \\| 2`", ""]], [["z"]]]);
  assert.deepEqual(tablesOf(text, "B"), [[["z"]]]);
  assert.deepEqual(tablesOf(text, "C"), []);
});
