import assert from "node:assert/strict";
import { unwritable } from "./unwritable.ts";

const messageFor = (write: () => void) => {
  try {
    write();
  } catch (error) {
    return unwritable("lease directory /run/x", "run_dir", error).message;
  }
  return assert.fail("could be written");
};

Deno.test("the fix for a full file system is space, for any other reason rights", () => {
  // full(4) is always full.
  const full = messageFor(() => Deno.writeTextFileSync("/dev/full", "x"));
  assert.match(full, /^lease directory \/run\/x cannot be written \(No space left on device .*\)/);
  assert.match(full, /: free space on its file system or set QEMUBOX_RUN_DIR$/);
  const denied = messageFor(() => Deno.mkdirSync("/proc/qemubox"));
  assert.match(denied, /: make it writable or set QEMUBOX_RUN_DIR$/);
});
