import assert from "node:assert/strict";
import { diskCalls } from "./disks.ts";

const root = Deno.uid() === 0;

Deno.test("flushFileSystem of a missing directory fails with ENOENT", async () => {
  await assert.rejects(diskCalls.flushFileSystem("/no/such/folder"), { code: "ENOENT" });
});

Deno.test({
  name: `flushFileSystem reports the error of a parked call${root ? "" : " (skipped: not root)"}`,
  ignore: !root,
  fn: async () => {
    await assert.rejects(diskCalls.flushFileSystem("/proc"), { code: "EOPNOTSUPP" });
  },
});
