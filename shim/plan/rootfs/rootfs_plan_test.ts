import assert from "node:assert/strict";
import { assertRefused } from "../../testing/refused.ts";
import { MOUNT_DATA_BYTES_MAX, planRootfs } from "./rootfs_plan.ts";
import type { SnapshotMount } from "./snapshot_mount.ts";

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

Deno.test("userxattr and other options for reading stay, those for writing are dropped", () => {
  const [mount] = planRootfs([{
    type: "overlay",
    source: "overlay",
    options: ["volatile", "userxattr", "lowerdir=/b:/a", "ro"],
  }], "/t");
  assert.equal(mount!.data, "lowerdir=/b:/a,userxattr");
});

Deno.test("an overlay of a single layer becomes a bind mount, as overlayfs needs two", () => {
  const [mount] = planRootfs([{ type: "overlay", source: "x", options: ["lowerdir=/a"] }], "/t");
  assert.deepEqual(mount, { source: "/a", target: "/t", type: "bind", kind: "bind", data: "" });
});

Deno.test("a bind mount stays one, whether by its type or by an option", () => {
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

Deno.test("a hundred layers fit, relative to the directory above them all", () => {
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
    options: ["ro", "noatime", "dax=never"],
  }], "/t");
  assert.deepEqual([mount!.type, mount!.data], ["erofs", "dax=never"]);
});

Deno.test("mounts that cannot be mounted are refused by name", () => {
  const refused = (mounts: readonly SnapshotMount[], pattern: RegExp) =>
    assertRefused(() => planRootfs(mounts, "/t"), "invalid", pattern);
  refused(
    [],
    /^root file system: containerd handed over no mounts: run with a snapshotter$/,
  );
  assert.throws(() => planRootfs([], "/t"), {
    field: "root file system:",
    fix: "run with a snapshotter",
  });
  const unprepared = { type: "mkfs/ext4", source: "x", options: [] };
  refused(
    [unprepared],
    /^root file system: mount type mkfs\/ext4 needs containerd's mount manager/,
  );
  const image = { type: "erofs", source: "/s/1/layer.erofs", options: ["ro", "loop"] };
  refused([image], /^root file system: EROFS image .*layer\.erofs is not mounted on the host/);
  const mapped = { type: "overlay", source: "x", options: ["uidmap=0:1:2", "lowerdir=/a:/b"] };
  refused(
    [mapped],
    /^root file system: option uidmap=0:1:2 is not supported: set remap_ids = false/,
  );
  const overlay = { type: "overlay", source: "overlay", options: ["upperdir=/u"] };
  refused([overlay], /^root file system: overlay mount has no lowerdir$/);
  const target = { type: "bind", source: "/a", target: "sub", options: [] };
  refused([target], /^root file system: mount with target sub is not supported$/);
});

Deno.test("templates stand for mounts beside the last one, and mkdir options for directories", () => {
  const bind = (source: string) => ({ type: "bind", source, options: ["rbind", "ro"] });
  const [one, two, overlay] = planRootfs([bind("/a"), bind("/b"), {
    type: "format/mkdir/overlay",
    source: "overlay",
    options: [
      "X-containerd.mkdir.path=/s/9/upper:0755",
      "X-containerd.mkdir.path=/s/9/work",
      "upperdir=/s/9/upper",
      "workdir=/s/9/work",
      "lowerdir={{ overlay 1 0 }}:/c",
    ],
  }], "/t/rootfs");
  assert.deepEqual([one!.target, two!.target], ["/t/rootfs-0", "/t/rootfs-1"]);
  assert.deepEqual(overlay, {
    source: "overlay",
    target: "/t/rootfs",
    type: "overlay",
    kind: "filesystem",
    data: "lowerdir=/s/9/upper:/t/rootfs-1:/t/rootfs-0:/c",
    directories: [{ path: "/s/9/upper", mode: 0o755 }, { path: "/s/9/work", mode: 0o700 }],
  });
  const sub = { type: "format/bind", source: "{{ mount 0 }}/fs", options: ["rbind"] };
  assert.equal(planRootfs([bind("/a"), sub], "/t")[1]!.source, "/t-0/fs");

  const refuses = (options: string[], message: RegExp, type = "format/mkdir/overlay") =>
    assertRefused(
      () => planRootfs([bind("/a"), { type, source: "overlay", options }], "/t"),
      "invalid",
      message,
    );
  refuses(["lowerdir={{ mount 1 }}"], /names a mount that does not exist$/);
  refuses(["lowerdir={{ target 0 }}"], /not understood/);
  refuses(["lowerdir={{ mount 0"], /not understood/);
  refuses(["X-containerd.mkdir.path=/a:9"], /mkdir\.path=\/a:9 is not understood/);
  refuses(["X-containerd.mkdir.mode=1"], /mkdir\.mode=1 is not understood/);
  refuses(["X-containerd.mkdir.path={{ mount 0 }}/x"], /cannot be made/);
  refuses(["lowerdir=/a"], /other\/overlay needs containerd/, "other/overlay");
});
