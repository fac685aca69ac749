import assert from "node:assert/strict";
import { recorded, requiredFile } from "./debian_files.ts";

Deno.test("recorded names the files that were taken, not those that are missing", () => {
  const content = new Uint8Array([1]);
  const { files, paths } = recorded({ read: (path) => path === "/usr/bin/crun" ? content : null });
  assert.equal(requiredFile(files, "/usr/bin/crun"), content);
  assert.throws(() => requiredFile(files, "/usr/bin/none"), /\/usr\/bin\/none is missing/);
  assert.deepEqual([...paths], ["/usr/bin/crun"]);
});
