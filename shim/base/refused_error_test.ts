import assert from "node:assert/strict";
import { RefusedError } from "./refused_error.ts";

Deno.test("the message names the field, the reason and the fix", () => {
  const bare = new RefusedError("unsupported", "process.scheduler", "is not supported");
  assert.equal(bare.message, "process.scheduler is not supported");
  assert.equal(bare.fix, undefined);
  const cause = new Error("ENOENT");
  const fixed = new RefusedError("host", "mkfs.ext4", "is missing", "install e2fsprogs", { cause });
  assert.equal(fixed.message, "mkfs.ext4 is missing: install e2fsprogs");
  assert.deepEqual(
    [fixed.name, fixed.kind, fixed.field, fixed.why, fixed.fix, fixed.cause],
    ["RefusedError", "host", "mkfs.ext4", "is missing", "install e2fsprogs", cause],
  );
});
