import assert from "node:assert/strict";
import { roomViolations } from "./rooms.ts";
import { sourceFile } from "./source_file.ts";

const violations = (path: string, specifier: string) =>
  roomViolations(sourceFile(path, `import { x } from "${specifier}";\n`));

Deno.test("a room imports its own files, rooms below it and other directories", () => {
  for (
    const [path, specifier] of [
      ["shim/main.ts", "./commands/cli.ts"],
      ["shim/task/a.ts", "./b.ts"],
      ["shim/plan/rootfs/a.ts", "../oci.ts"],
      ["shim/plan/oci.ts", "./rootfs/a.ts"],
      ["shim/task/a.ts", "../base/names.ts"],
      ["shim/base/a.ts", "../../base/mod.ts"],
      ["guest/services/a.ts", "../runtime/crun.ts"],
      ["qemu/a.ts", "./b.ts"],
    ] as const
  ) assert.deepEqual(violations(path, specifier), [], path);
});

Deno.test("each violation of the order of rooms is reported", () => {
  for (
    const [path, specifier, expected] of [
      ["shim/task/a.ts", "../commands/cli.ts", /room task may not import room commands above it/],
      ["shim/plan/rootfs/a.ts", "../../sandbox/x.ts", /room plan may not import room sandbox/],
      ["guest/base/a.ts", "../vminitd.ts", /room base may not import room main above it/],
      ["guest/shed/a.ts", "./b.ts", /guest\/shed\/ is not a room/],
      ["shim/task/a.ts", "../testing/x.ts", /only tests may import shim\/testing\/x.ts/],
      ["proto/mod.ts", "./testing/x.ts", /only tests may import proto\/testing\/x.ts/],
    ] as const
  ) {
    const found = violations(path, specifier);
    assert.equal(found.length, 1, path);
    assert.match(found[0]!, expected);
    assert.ok(found[0]!.startsWith(`${path}: `));
  }
});

Deno.test("tests import from any room, but must be in a known one", () => {
  assert.deepEqual(violations("shim/base/a_test.ts", "../task/x.ts"), []);
  assert.deepEqual(violations("shim/base/a_test.ts", "../testing/x.ts"), []);
  assert.deepEqual(violations("shim/testing/a.ts", "../main.ts"), []);
  assert.deepEqual(violations("tests/lib/a.ts", "../../shim/testing/x.ts"), []);
  assert.match(violations("shim/shed/a_test.ts", "../task/x.ts").join(), /not a room/);
});
