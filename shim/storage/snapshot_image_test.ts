import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import { openSnapshotImage } from "./snapshot_image.ts";
import { temporaryFolder } from "../testing/test_support.ts";

Deno.test("an image is one container's at a time, and what is no file is refused", () => {
  using folder = temporaryFolder();
  const image = `${folder.path}/rwlayer.img`;
  const refused = (path: string, why: RegExp) =>
    assert.throws(() => openSnapshotImage(system, path), (error: Error) => {
      assert.match(error.message, new RegExp(`^the snapshot's writable image ${path} `));
      assert.match(error.message, why);
      return true;
    });
  refused(image, /cannot be opened: .*ENOENT/);
  Deno.writeTextFileSync(image, "x");
  const fd = openSnapshotImage(system, image);
  refused(image, /another container that runs/);
  system.close(fd);
  // It is free again with the last descriptor.
  system.close(openSnapshotImage(system, image));

  Deno.symlinkSync(image, `${folder.path}/link`);
  refused(`${folder.path}/link`, /is a symbolic link/);
  system.mkfifo(`${folder.path}/fifo`, 0o600);
  refused(`${folder.path}/fifo`, /is no file/);
  Deno.mkdirSync(`${folder.path}/folder`);
  refused(`${folder.path}/folder`, /cannot be opened: .*EISDIR/);
});
