import assert from "node:assert/strict";
import fc from "fast-check";
import { addressOf, cString, cStringArray } from "./strings.ts";

const text = fc.string({ unit: "binary" }).filter((each) => !each.includes("\0"));

/** Reads the strings behind a `char **`, as C does. */
function readBack(array: Uint8Array<ArrayBuffer>): string[] {
  const view = new Deno.UnsafePointerView(Deno.UnsafePointer.create(addressOf(array))!);
  const found: string[] = [];
  for (let offset = 0; view.getBigUint64(offset) !== 0n; offset += 8) {
    found.push(new Deno.UnsafePointerView(view.getPointer(offset)!).getCString());
  }
  assert.equal(array.byteLength > 0, true);
  return found;
}

Deno.test("a string array arrives in C unchanged", () => {
  const wellFormed = fc.string({ unit: "grapheme" }).filter((each) => !each.includes("\0"));
  fc.assert(fc.property(fc.array(wellFormed, { maxLength: 20 }), (texts) => {
    assert.deepEqual(readBack(cStringArray(texts)), texts);
  }));
});

Deno.test("a C string ends with its only NUL", () => {
  fc.assert(fc.property(text, (each) => {
    const bytes = cString(each);
    assert.equal(bytes.indexOf(0), bytes.length - 1);
  }));
});

Deno.test("a string with a NUL inside is rejected", () => {
  assert.throws(() => cString("/safe\0/../etc"), TypeError);
  assert.throws(() => cStringArray(["a", "b\0"]), TypeError);
});
