import assert from "node:assert/strict";
import { diskBySerial, ownDisks } from "./disks.ts";

Deno.test("a disk is found by its serial number, among devices without one", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const name of ["vda", "vdb", "loop0"]) await Deno.mkdir(`${directory}/${name}`);
    await Deno.writeTextFile(`${directory}/vda/serial`, "root");
    await Deno.writeTextFile(`${directory}/vdb/serial`, "layers\n");
    assert.equal(diskBySerial("layers", directory), "/dev/vdb");
    assert.equal(diskBySerial("other", directory), null);
    assert.equal(diskBySerial("", directory), null);
    await Deno.writeTextFile(`${directory}/vda/dev`, "254:0\n");
    await Deno.writeTextFile(`${directory}/vdb/dev`, "254:16\n");
    await Deno.writeTextFile(`${directory}/loop0/dev`, "7:0\n");
    assert.deepEqual(ownDisks(directory), [{ major: 254, minor: 16 }]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
