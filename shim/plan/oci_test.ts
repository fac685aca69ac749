import assert from "node:assert/strict";
import { assertRefused } from "../testing/refused.ts";
import { temporaryFolder } from "../testing/test_support.ts";
import { readSpec, SPEC_BYTES_MAX } from "./oci.ts";

Deno.test("the specification is read from the bundle, or refused by its path", () => {
  using directory = temporaryFolder();
  const file = `${directory.path}/config.json`;
  assertRefused(
    () => readSpec(directory.path),
    "invalid",
    /\/config\.json cannot be read: .*No such file/,
  );
  const bad: [string, RegExp][] = [
    ["{", /\/config\.json is not JSON: /],
    ["[]", /\/config\.json is not a JSON object$/],
    ["null", /\/config\.json is not a JSON object$/],
    [
      `"${"x".repeat(SPEC_BYTES_MAX)}"`,
      /\/config\.json has 2097154 bytes, more than the limit of 2097152$/,
    ],
  ];
  for (const [text, message] of bad) {
    Deno.writeTextFileSync(file, text);
    assertRefused(() => readSpec(directory.path), "invalid", message);
    assert.throws(() => readSpec(directory.path), { field: file, fix: undefined });
  }
  Deno.writeTextFileSync(file, '{"hostname":"box"}');
  assert.deepEqual(readSpec(directory.path), { hostname: "box" });
});
