import assert from "node:assert/strict";
import { isDirectory, isThere, listIfPresent, readIfPresent, removeIfPresent } from "./fs.ts";

Deno.test("absent files are an answer", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const file = `${folder}/file`;
    for (const path of [file, `${file}/below`]) {
      assert.equal(isThere(path), false);
      assert.equal(isDirectory(path), false);
      assert.equal(readIfPresent(path), null);
      assert.deepEqual(listIfPresent(path), []);
      removeIfPresent(path);
      Deno.writeTextFileSync(file, "text");
    }
    assert.equal(readIfPresent(file), "text");
    assert.deepEqual(listIfPresent(folder).map(({ name }) => name), ["file"]);
    assert.equal(isDirectory(folder), true);
    Deno.symlinkSync("nowhere", `${folder}/link`);
    assert.equal(isThere(`${folder}/link`), true);
    removeIfPresent(file);
    assert.equal(isThere(file), false);
  } finally {
    removeIfPresent(folder, { recursive: true });
  }
});

Deno.test("any other failure is thrown", () => {
  assert.throws(() => readIfPresent("/"), /directory/);
  assert.throws(() => removeIfPresent("/proc/self/status"));
});
