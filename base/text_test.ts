import assert from "node:assert/strict";
import fc from "fast-check";
import { oneLine, printable, quoted } from "./text.ts";

Deno.test("printable drops escape sequences, controls and separators", () => {
  assert.equal(printable("a\x1b[31mb\x00\x07c\u2028d\u202ee\n", 100), "a b c d e");
  assert.equal(printable("täst ✓", 100), "täst ✓");
});

Deno.test("printable cuts a long text", () => {
  assert.equal(printable("abcdef", 3), "abc…");
  assert.equal(printable("abc", 3), "abc");
  // A character of two UTF-16 units is kept whole or not at all.
  assert.equal(printable("ab👍d", 3), "ab…");
  assert.equal(printable("ab👍d", 4), "ab👍…");
});

Deno.test("oneLine joins lines", () => {
  assert.equal(oneLine("  first \n\n second\t\n", 100), "first | second");
});

Deno.test("quoted returns a JSON string of limited length", () => {
  assert.equal(quoted('a"b\n'), '"a\\"b\\n"');
  assert.equal(quoted("x".repeat(200)), `"${"x".repeat(100)}…"`);
  assert.equal(quoted("a\u202eb\x9b"), '"a?b?"');
});

Deno.test("property: no unprintable character of hostile text is returned", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    for (const shown of [printable(text, 20), oneLine(text, 20), quoted(text)]) {
      assert.doesNotMatch(shown, /[\p{C}\p{Zl}\p{Zp}]/u);
    }
    assert(printable(text, 20).length <= 21);
  }));
});
