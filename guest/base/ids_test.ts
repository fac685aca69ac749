import assert from "node:assert/strict";
import fc from "fast-check";
import { checkedContainerId, checkedStreamId } from "./ids.ts";

Deno.test("checkedContainerId accepts containerd's identifiers", () => {
  for (const id of ["a", "c1", "web-1_b.2", "A".repeat(76)]) {
    assert.equal(checkedContainerId(id), id);
  }
  for (const id of ["", ".", "..", "-rf", "a/b", "a b", "a\n", "a..b", "a-", "A".repeat(77), "ä"]) {
    assert.throws(() => checkedContainerId(id), { name: "RpcError" }, JSON.stringify(id));
  }
});

Deno.test("no accepted id can leave its directory or be an option", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-.\w/]*$/)), (id) => {
    try {
      checkedContainerId(id);
    } catch {
      return true;
    }
    return !id.includes("/") && !id.includes("..") && !id.startsWith("-") && id !== "";
  }));
});

Deno.test("checkedStreamId accepts what the stream port takes", () => {
  assert.equal(checkedStreamId("c1/init/stdout"), "c1/init/stdout");
  for (const id of ["", "a b", "a".repeat(257), "é"]) {
    assert.throws(() => checkedStreamId(id), { name: "RpcError" }, JSON.stringify(id));
  }
});
