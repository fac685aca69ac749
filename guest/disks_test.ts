import assert from "node:assert/strict";
import { diskBySerial } from "./disks.ts";

Deno.test("a disk is found by its serial number, among others that have none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["vda", "vdb", "loop0"]) await Deno.mkdir(`${folder}/${name}`);
    await Deno.writeTextFile(`${folder}/vda/serial`, "root");
    await Deno.writeTextFile(`${folder}/vdb/serial`, "layers\n");
    assert.equal(diskBySerial("layers", folder), "/dev/vdb");
    assert.equal(diskBySerial("other", folder), null);
    assert.equal(diskBySerial("", folder), null);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
