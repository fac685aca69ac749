import assert from "node:assert/strict";
import { type RefusalKind, RefusedError } from "../base/refused_error.ts";

/** Asserts that `work` throws a RefusedError of this kind. Returns its message. */
export function assertRefused(work: () => unknown, kind: RefusalKind, pattern: RegExp): string {
  let message = "";
  assert.throws(work, (error) => {
    assert.ok(error instanceof RefusedError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, pattern);
    message = error.message;
    return true;
  });
  return message;
}
