import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { openSnapshotImage } from "./snapshot_image.ts";
import { temporaryFolder } from "../testing/test_support.ts";

Deno.test("an image belongs to one container at a time and must be a regular file", () => {
  using directory = temporaryFolder();
  const image = `${directory.path}/rwlayer.img`;
  const refused = (path: string, why: RegExp) =>
    assert.throws(() => openSnapshotImage(system, path), (error: Error) => {
      assert.ok(error instanceof RefusedError && error.kind === "host");
      assert.match(error.message, new RegExp(`^snapshot's writable image ${path} `));
      assert.match(error.message, why);
      return true;
    });
  refused(image, /cannot be opened: .*ENOENT/);
  Deno.writeTextFileSync(image, "x");
  const fd = openSnapshotImage(system, image);
  refused(image, /is in use by another container: prepare one snapshot per container$/);
  system.close(fd);
  // Closing the last descriptor frees it.
  system.close(openSnapshotImage(system, image));

  Deno.symlinkSync(image, `${directory.path}/link`);
  refused(`${directory.path}/link`, /is a symbolic link/);
  system.mkfifo(`${directory.path}/fifo`, 0o600);
  refused(`${directory.path}/fifo`, /is not a regular file$/);
  Deno.mkdirSync(`${directory.path}/directory`);
  refused(`${directory.path}/directory`, /cannot be opened: .*EISDIR/);
});
