import assert from "node:assert/strict";
import { describeError, messageOf } from "./errors.ts";

Deno.test("messageOf and describeError take anything that was thrown", () => {
  assert.equal(messageOf(new TypeError("bad")), "bad");
  assert.equal(messageOf("text"), "text");
  assert.equal(describeError(new TypeError("bad")), "TypeError: bad");
  assert.equal(describeError("text"), "text");
  assert.equal(describeError(undefined), "undefined");
});
