import assert from "node:assert/strict";
import { isInVfork } from "./vfork.ts";

Deno.test("isInVfork finds a thread that waits for its child's exec by its state", async () => {
  const procfs = await Deno.makeTempDir();
  const thread = (pid: number, tid: number, stat: string): void => {
    Deno.mkdirSync(`${procfs}/${pid}/task/${tid}`, { recursive: true });
    Deno.writeTextFileSync(`${procfs}/${pid}/task/${tid}/stat`, stat);
  };
  try {
    thread(10, 10, "10 (sh) S 1 10 10 0\n");
    thread(11, 11, "11 (a) D\n) S 1 11 11 0\n");
    thread(12, 12, "12 (java) S 1 12 12 0\n");
    thread(12, 13, "13 (spawn) D 1 12 12 0\n");
    Deno.mkdirSync(`${procfs}/14/task/14`, { recursive: true }); // exited meanwhile
    assert.equal(isInVfork([], procfs), false);
    assert.equal(isInVfork([10, 11, 14, 15], procfs), false);
    assert.equal(isInVfork([10, 12], procfs), true);
  } finally {
    await Deno.remove(procfs, { recursive: true });
  }
});
