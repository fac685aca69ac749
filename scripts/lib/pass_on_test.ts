import assert from "node:assert/strict";
import { passOn, Tail } from "./pass_on.ts";

Deno.test("Tail keeps the last lines, in chunks of any size", () => {
  const text = "one\ntwo\nthree\nfour\n";
  for (let size = 1; size < text.length; size++) {
    const tail = new Tail(2);
    for (let at = 0; at < text.length; at += size) tail.add(text.slice(at, at + size));
    assert.equal(tail.text, "three\nfour");
  }
  const open = new Tail(2, 4);
  open.add("one\ntwo\nthree\nfo");
  open.add("urteen");
  assert.equal(open.text, "thre\nfour");
  assert.equal(new Tail(2).text, "");
});

Deno.test("passOn writes everything, even to a sink that accepts few bytes at a time", async () => {
  let written = "";
  const sink = {
    writeSync(data: Uint8Array): number {
      written += new TextDecoder().decode(data.subarray(0, 3));
      return Math.min(3, data.length);
    },
  };
  const tail = new Tail(1);
  await passOn(new Blob(["a line\nanother\n"]).stream(), sink, tail);
  assert.deepEqual([written, tail.text], ["a line\nanother\n", "another"]);
});
