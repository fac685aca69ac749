import assert from "node:assert/strict";

/** Compares with a file of testdata/, which UPDATE_GOLDEN=1 rewrites. */
export function assertGolden(name: string, actual: string): void {
  const path = new URL(`../testdata/${name}`, import.meta.url);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") return Deno.writeTextFileSync(path, actual);
  assert.equal(actual, Deno.readTextFileSync(path));
}
