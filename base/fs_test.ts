import assert from "node:assert/strict";
import { isDirectory, isThere, listIfPresent, readIfPresent, removeIfPresent } from "./fs.ts";

Deno.test("an absent file or parent is not an error", () => {
  const directory = Deno.makeTempDirSync();
  try {
    const file = `${directory}/file`;
    for (const path of [file, `${file}/below`]) {
      assert.equal(isThere(path), false);
      assert.equal(isDirectory(path), false);
      assert.equal(readIfPresent(path), null);
      assert.deepEqual(listIfPresent(path), []);
      removeIfPresent(path);
      Deno.writeTextFileSync(file, "text");
    }
    assert.equal(readIfPresent(file), "text");
    assert.deepEqual(listIfPresent(directory).map(({ name }) => name), ["file"]);
    assert.equal(isDirectory(directory), true);
    Deno.symlinkSync("nowhere", `${directory}/link`);
    assert.equal(isThere(`${directory}/link`), true);
    removeIfPresent(file);
    assert.equal(isThere(file), false);
  } finally {
    removeIfPresent(directory, { recursive: true });
  }
});

Deno.test("other failures are thrown", () => {
  assert.throws(() => readIfPresent("/"), /directory/);
  assert.throws(() => removeIfPresent("/proc/self/status"));
});
