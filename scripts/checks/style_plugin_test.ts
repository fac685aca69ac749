import assert from "node:assert/strict";
import plugin from "./style_plugin.ts";

const REPOSITORY = new URL("../../", import.meta.url).pathname;

/** "rule: message" of each finding in `text` as the file `path`. */
function findings(path: string, text: string): string[] {
  return Deno.lint.runPlugin(plugin, `${REPOSITORY}${path}`, text)
    .map(({ id, message }) => `${id.replace("qemubox/", "")}: ${message}`);
}

Deno.test("a file has at most 400 lines", () => {
  assert.deepEqual(findings("a.ts", "x;\n".repeat(400)), []);
  assert.deepEqual(findings("a.ts", "x;\n".repeat(401)), [
    "file-lines: file has 401 lines, more than 400",
  ]);
});

Deno.test("a function of any kind has at most 70 lines", () => {
  const body = (lines: number) => `{\n${"  x;\n".repeat(lines - 2)}}`;
  for (
    const [before, after] of [
      ["function f() ", ""],
      ["class C { method() ", " }"],
      ["const f = () => ", ";"],
      ["const o = { f: function () ", " };"],
    ]
  ) {
    assert.deepEqual(findings("a.ts", before + body(70) + after), [], before);
    assert.deepEqual(findings("a.ts", before + body(71) + after), [
      "function-lines: function has 71 lines, more than 70",
    ]);
  }
});

Deno.test("comments end at column 100 at most; code and links may be longer", () => {
  const message = "comment-columns: comment ends at column 101, after 100";
  const words = (columns: number) => "w".repeat(columns);
  assert.deepEqual(findings("a.ts", `// ${words(97)}\n/**\n * ${words(97)}\n */\n`), []);
  assert.deepEqual(findings("a.ts", `// ${words(98)}\n`), [message]);
  assert.deepEqual(findings("a.ts", `/**\n * ${words(98)}\n * ${words(98)}\n */\n`), [
    message,
    message,
  ]);
  assert.deepEqual(findings("a.ts", `const a = 1; // ${words(85)}\n`), [message]);
  assert.deepEqual(findings("a.ts", `// ${"ü".repeat(97)}\n`), [], "characters, not bytes");
  assert.deepEqual(findings("a.ts", `const a = "${words(200)}";\n`), []);
  assert.deepEqual(findings("a.ts", `// See https://example.org/${words(200)}\n`), []);
});

Deno.test("product code in guest/ must not use JSON.parse", () => {
  const message = "oci-json: JSON in guest/ must be parsed without rounding 64-bit numbers";
  const parse = "const a = JSON.parse(text);\n";
  assert.deepEqual(findings("guest/runtime/crun.ts", parse), [message]);
  assert.deepEqual(findings("guest/runtime/crun.ts", "await response.json();\n"), [message]);
  assert.deepEqual(findings("guest/runtime/crun.ts", "x.map(JSON.parse);\n"), [message]);
  assert.deepEqual(findings("guest/runtime/crun.ts", "JSON.stringify(x);\n"), []);
  assert.deepEqual(findings("guest/runtime/crun_test.ts", parse), []);
  assert.deepEqual(findings("guest/testing/serve.ts", parse), []);
  assert.deepEqual(findings("shim/config/config.ts", parse), []);
});
