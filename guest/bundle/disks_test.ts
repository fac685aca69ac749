import assert from "node:assert/strict";
import { diskBySerial, ownDisks } from "./disks.ts";

Deno.test("a disk is found by its serial number, among others that have none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["vda", "vdb", "loop0"]) await Deno.mkdir(`${folder}/${name}`);
    await Deno.writeTextFile(`${folder}/vda/serial`, "root");
    await Deno.writeTextFile(`${folder}/vdb/serial`, "layers\n");
    assert.equal(diskBySerial("layers", folder), "/dev/vdb");
    assert.equal(diskBySerial("other", folder), null);
    assert.equal(diskBySerial("", folder), null);
    await Deno.writeTextFile(`${folder}/vda/dev`, "254:0\n");
    await Deno.writeTextFile(`${folder}/vdb/dev`, "254:16\n");
    await Deno.writeTextFile(`${folder}/loop0/dev`, "7:0\n");
    assert.deepEqual(ownDisks(folder), [{ major: 254, minor: 16 }]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
