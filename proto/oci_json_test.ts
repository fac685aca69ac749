import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeOciJson, parseOciJson } from "./oci_json.ts";

const again = (text: string) => new TextDecoder().decode(encodeOciJson(parseOciJson(text)));

Deno.test("64-bit integers round-trip", () => {
  for (const text of ["18446744073709551615", "-9223372036854775808", "9007199254740993", "0"]) {
    const json = `{"process":{"rlimits":[{"hard":${text}}]}}`;
    assert.equal(again(json), json);
    const copy = structuredClone(parseOciJson(json));
    assert.equal(new TextDecoder().decode(encodeOciJson(copy)), json);
  }
  assert.deepEqual(parseOciJson("[1, 1.5, 1e300]"), [1, 1.5, 1e300]);
});

Deno.test("everything else is plain JSON", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
    const text = JSON.stringify(value);
    assert.equal(again(text), JSON.stringify(JSON.parse(text)));
  }));
  assert.throws(() => parseOciJson("{"), SyntaxError);
});
