import assert from "node:assert/strict";
import fc from "fast-check";
import { VALUES_MAX } from "./decode.ts";
import { message } from "./define.ts";
import { create, fromBinary, toBinary } from "./mod.ts";
import type { MessageSchema } from "./types.ts";

// deno-lint-ignore no-explicit-any -- a message of this test, without generated types
const Tree: MessageSchema<any> = message("test.Tree", () => [
  { no: 1, name: "name", type: "string" },
  { no: 2, name: "children", type: "message", of: Tree, list: true },
  { no: 3, name: "sizes", type: "uint32", list: true },
  { no: 4, name: "labels", type: "string", map: "string" },
  { no: 5, name: "text", type: "string", oneof: "kind" },
  { no: 6, name: "tree", type: "message", of: Tree, oneof: "kind" },
  { no: 7, name: "parent", type: "message", of: Tree },
]);

const read = (...bytes: number[]) => fromBinary(Tree, Uint8Array.from(bytes));

Deno.test("any bytes are decoded or rejected with an error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      const tree = fromBinary(Tree, bytes);
      assert.deepEqual(fromBinary(Tree, toBinary(Tree, tree)), tree);
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof RangeError), String(error));
    }
  }));
});

Deno.test("a truncated message is rejected, or is a shorter message", () => {
  const bytes = toBinary(Tree, create(Tree, { name: "root", sizes: [1, 300], labels: { a: "b" } }));
  for (let length = 0; length < bytes.length; length++) {
    try {
      assert.ok(toBinary(Tree, fromBinary(Tree, bytes.subarray(0, length))).length <= length);
    } catch (error) {
      assert.match((error as Error).message, /message ends in the middle/);
    }
  }
});

Deno.test("the depth of messages and unknown groups is limited", () => {
  let nested = new Uint8Array(0);
  for (let depth = 0; depth < 99; depth++) nested = prefixed(nested);
  fromBinary(Tree, nested);
  assert.throws(() => fromBinary(Tree, prefixed(nested)), /nested more than 100 deep/);
  assert.throws(() => read(...Array(200).fill(0x7b)), /nested more than 100 deep/);

  function prefixed(inner: Uint8Array): Uint8Array<ArrayBuffer> {
    const length = inner.length < 128
      ? [inner.length]
      : [inner.length & 0x7f | 0x80, inner.length >> 7];
    return Uint8Array.from([0x12, ...length, ...inner]);
  }
});

Deno.test("the number of messages and list items is limited", () => {
  const children = (count: number) =>
    Uint8Array.from({ length: 2 * count }, (_, i) => i % 2 ? 0 : 0x12);
  assert.equal(fromBinary(Tree, children(VALUES_MAX - 1)).children.length, VALUES_MAX - 1);
  assert.throws(() => fromBinary(Tree, children(VALUES_MAX)), /more than 131072 values/);
  const sizes = (count: number) => toBinary(Tree, create(Tree, { sizes: Array(count).fill(1) }));
  assert.equal(fromBinary(Tree, sizes(VALUES_MAX - 1)).sizes.length, VALUES_MAX - 1);
  assert.throws(() => fromBinary(Tree, sizes(VALUES_MAX)), /more than 131072 values/);
});

Deno.test("unknown fields of every wire type are skipped", () => {
  const unknown = [0x78, 0x01, 0x79, ...Array(8).fill(0), 0x7a, 0x01, 0xff, 0x7d, 0, 0, 0, 0];
  const group = [0x7b, 0x08, 0x01, 0x7c];
  assert.deepEqual(read(...unknown, ...group, 0x0a, 0x01, 0x61), create(Tree, { name: "a" }));
  assert.throws(() => read(0x7b, 0x74), /group 15 ends as group 14/);
  assert.throws(() => read(0x7c), /field 15 has wire type 4/);
  assert.throws(() => read(0x7e), /field 15 has wire type 6/);
});

Deno.test("invalid fields are rejected", () => {
  assert.throws(() => read(0x00), /field number is 0/);
  assert.throws(() => read(0x08, 0x01), /field name has wire type 0, not 2/);
  assert.throws(() => read(0x0a, 0x01, 0xff), TypeError);
  assert.throws(() => read(0x18, ...Array(10).fill(0xff), 0x01), /varint of more than 10 bytes/);
  assert.throws(() => read(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f), /ends in the middle/);
});

Deno.test("parts of a message are merged", () => {
  const parts = [0x3a, 0x03, 0x0a, 0x01, 0x61, 0x3a, 0x02, 0x18, 0x07];
  assert.deepEqual(read(...parts), create(Tree, { parent: { name: "a", sizes: [7] } }));
});

Deno.test("a map may have the key __proto__", () => {
  const entry = [0x0a, 9, ...new TextEncoder().encode("__proto__"), 0x12, 0x01, 0x78];
  const { labels } = read(0x22, entry.length, ...entry);
  assert.deepEqual(Object.keys(labels), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(labels), Object.prototype);
});

Deno.test("an error of toBinary names the field", () => {
  const write = (init: unknown) => () => toBinary(Tree, create(Tree, init as never));
  assert.throws(write({ name: 1 }), /test.Tree.name: number instead of string/);
  assert.throws(write({ sizes: [-1] }), /test.Tree.sizes: -1 is not of type uint32/);
  assert.throws(write({ parent: { sizes: [1.5] } }), /test.Tree.parent: test.Tree.sizes: 1.5/);
});
