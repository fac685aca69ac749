import assert from "node:assert/strict";
import { MOUNT_DATA_BYTES_MAX, planRootfs, RootfsError } from "./rootfs_plan.ts";

const snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";

Deno.test("the upper directory of an overlay becomes its top-most lower layer", () => {
  const [mount, ...rest] = planRootfs([{
    type: "overlay",
    source: "overlay",
    options: ["index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs"],
  }], "/t");
  assert.deepEqual(rest, []);
  assert.deepEqual(mount, {
    source: "overlay",
    target: "/t",
    type: "overlay",
    kind: "filesystem",
    data: "lowerdir=/s/3/fs:/s/2/fs:/s/1/fs",
  });
});

Deno.test("userxattr and other reading options stay, writing ones go", () => {
  const [mount] = planRootfs([{
    type: "overlay",
    source: "overlay",
    options: ["volatile", "userxattr", "lowerdir=/b:/a", "ro"],
  }], "/t");
  assert.equal(mount!.data, "lowerdir=/b:/a,userxattr");
});

Deno.test("an overlay of one layer alone is a bind, since overlayfs wants two", () => {
  const [mount] = planRootfs([{ type: "overlay", source: "x", options: ["lowerdir=/a"] }], "/t");
  assert.deepEqual(mount, { source: "/a", target: "/t", type: "bind", kind: "bind", data: "" });
});

Deno.test("a bind stays a bind, whether type or option says so", () => {
  for (
    const mount of [{ type: "bind", source: "/s/1/fs", options: ["rbind", "rw"] }, {
      type: "none",
      source: "/s/1/fs",
      options: ["bind"],
    }]
  ) {
    assert.equal(planRootfs([mount], "/t")[0]!.kind, "bind");
  }
});

Deno.test("a hundred layers fit, relative to the folder they share", () => {
  const lower = Array.from({ length: 100 }, (_, n) => `${snapshots}/${1000 + n}/fs`).join(":");
  const [mount] = planRootfs([{
    type: "overlay",
    source: "overlay",
    options: [
      `upperdir=${snapshots}/2000/fs`,
      `workdir=${snapshots}/2000/work`,
      `lowerdir=${lower}`,
    ],
  }], "/t");
  assert.equal(mount!.workingDirectory, snapshots);
  assert.ok(mount!.data.startsWith("lowerdir=2000/fs:1000/fs:1001/fs:"));
  assert.ok(mount!.data.length <= MOUNT_DATA_BYTES_MAX);
});

Deno.test("other file systems pass through without mount flags among their options", () => {
  const [mount] = planRootfs([{
    type: "erofs",
    source: "/dev/loop3",
    options: ["ro", "loop", "noatime", "dax=never"],
  }], "/t");
  assert.deepEqual([mount!.type, mount!.data], ["erofs", "dax=never"]);
});

Deno.test("what cannot be mounted is refused by name", () => {
  assert.throws(() => planRootfs([], "/t"), /no root file system/);
  const refused = { type: "format/mkdir/overlay", source: "x", options: [] };
  assert.throws(() => planRootfs([refused], "/t"), /format\/mkdir\/overlay/);
  const overlay = { type: "overlay", source: "overlay", options: ["upperdir=/u"] };
  assert.throws(() => planRootfs([overlay], "/t"), RootfsError);
});
