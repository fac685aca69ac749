import assert from "node:assert/strict";
import { diskCalls } from "./disks.ts";

const root = Deno.uid() === 0;

Deno.test("a folder that is not there cannot be flushed", async () => {
  await assert.rejects(diskCalls.flushFileSystem("/no/such/folder"), { code: "ENOENT" });
});

Deno.test({
  name: `the error of a file system without a disk comes out of the other thread${
    root ? "" : " (skipped: not root)"
  }`,
  ignore: !root,
  fn: async () => {
    await assert.rejects(diskCalls.flushFileSystem("/proc"), { code: "EOPNOTSUPP" });
  },
});
