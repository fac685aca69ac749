import assert from "node:assert/strict";
import { IDENTIFIER_CHARACTERS_MAX, isIdentifier } from "./identifier.ts";

Deno.test("isIdentifier follows containerd's rule", () => {
  const longest = "a".repeat(IDENTIFIER_CHARACTERS_MAX);
  for (const id of ["a", "0", "a-b", "a.b_c-d", "k8s.io", longest]) {
    assert(isIdentifier(id), id);
  }
  const bad = ["", "-a", "a-", "a--b", "a._b", ".", "..", "a/b", "a b", "a\n", "ä", `${longest}a`];
  for (const id of bad) assert(!isIdentifier(id), id);
});
