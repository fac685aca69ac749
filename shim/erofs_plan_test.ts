import assert from "node:assert/strict";
import { type LayerProbe, planErofs } from "./erofs_plan.ts";
import { layerDescriptor, layerRanges } from "./layer_disk.ts";
import type { SnapshotMount } from "./rootfs_plan.ts";

/** A host on which every layer.erofs is there and nothing else. */
const probe: LayerProbe = {
  fileBytes: (path) => /\/(layer|other)\.erofs$/.test(path) ? 8192 : null,
  isEmptyFolder: (path) => path !== "/s/full/fs",
};
const overlay = (...options: string[]): SnapshotMount => ({
  type: "overlay",
  source: "overlay",
  options,
});
const erofs = (source: string, ...options: string[]): SnapshotMount => ({
  type: "erofs",
  source,
  options: ["ro", "loop", ...options],
});
const paths = (mounts: readonly SnapshotMount[], host = probe) =>
  planErofs(mounts, host)?.map(({ path }) => path) ?? null;

Deno.test("an overlay of folders that the snapshotter mounted is their images", () => {
  const mounts = [overlay("workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs")];
  assert.deepEqual(paths(mounts), ["/s/2/layer.erofs", "/s/1/layer.erofs"]);
  assert.deepEqual(paths([{ type: "bind", source: "/s/1/fs", options: ["ro", "rbind"] }]), [
    "/s/1/layer.erofs",
  ]);
  assert.deepEqual(paths([overlay("lowerdir=/s/a\\:b/fs")]), ["/s/a:b/layer.erofs"]);
});

Deno.test("images that are handed over themselves, in the order that a template gives", () => {
  const images = [erofs("/s/1/layer.erofs"), erofs("/s/2/layer.erofs"), erofs("/s/3/layer.erofs")];
  const format = (lower: string, ...more: string[]): SnapshotMount => ({
    type: "format/mkdir/overlay",
    source: "overlay",
    options: [`lowerdir=${lower}`, ...more],
  });
  const [one, two, three] = ["/s/1/layer.erofs", "/s/2/layer.erofs", "/s/3/layer.erofs"];
  assert.deepEqual(paths([...images, format("{{ overlay 2 0 }}")]), [three, two, one]);
  assert.deepEqual(paths([...images, format("{{ overlay 0 2 }}")]), [one, two, three]);
  assert.deepEqual(paths([...images, format("{{mount 1}}:{{ mount 0 }}")]), [two, one]);
  const writable = { type: "ext4", source: "/s/4/rwlayer.img", options: ["rw", "loop"] };
  assert.deepEqual(
    paths([images[0]!, writable, format("{{ mount 0 }}", "upperdir={{ mount 1 }}/upper")]),
    [one],
  );
  assert.deepEqual(paths([erofs("/x/other.erofs")]), ["/x/other.erofs"]);

  for (
    const [lower, message] of [
      ["{{ overlay 0 3 }}", /names a mount that is not there/],
      ["{{ overlay 0 }}", /is not understood/],
      ["{{ mount 0 1 }}", /is not understood/],
      ["{{ source 0 }}", /is not understood/],
    ] as const
  ) assert.throws(() => paths([...images, format(lower)]), { name: "RootfsError", message });
  assert.throws(() => paths([writable, format("{{ mount 0 }}")]), /of type ext4 and not erofs/);
  assert.throws(() => paths([erofs("/m.erofs", "device=/a")]), /m\.erofs with option device=\/a/);
});

Deno.test("what is not all EROFS goes the way of any other snapshotter", () => {
  const none = { ...probe, fileBytes: () => null };
  assert.equal(paths([overlay("lowerdir=/s/2/fs:/s/1/fs")], none), null);
  assert.equal(paths([overlay("lowerdir=/s/2/fs:/s/1/dir")]), null);
  assert.equal(paths([overlay("upperdir=/s/full/fs", "lowerdir=/s/1/fs")]), null);
  assert.equal(paths([overlay("lowerdir=/s/1/fs")], { ...probe, fileBytes: () => 8193 }), null);
  assert.equal(paths([overlay("lowerdir=/s/1/fs")], { ...probe, fileBytes: () => 0 }), null);
  assert.equal(paths([{ type: "bind", source: "/s/1", options: ["rbind"] }]), null);
  assert.equal(paths([]), null);
  const layers = (
    count: number,
  ) => [overlay(`lowerdir=${Array.from({ length: count }, (_, n) => `/s/${n}/fs`).join(":")}`)];
  assert.equal(paths(layers(255))!.length, 255);
  assert.equal(paths(layers(256)), null);
});

Deno.test("the disk of all layers: no empty line before the first extent, parts in its order", () => {
  const layers = [{ path: '/a"b', bytes: 4096 }, { path: "/c", bytes: 512 }, {
    path: "/d",
    bytes: 8192,
  }];
  const text = layerDescriptor(layers);
  const lines = text.split("\n");
  assert.match(lines[0]!, /^# Disk DescriptorFile$/);
  assert.deepEqual(lines.filter((line) => line.startsWith("RW")), [
    'RW 8 FLAT "layer-0" 0',
    'RW 1 FLAT "layer-1" 0',
    'RW 16 FLAT "layer-2" 0',
  ]);
  assert(!lines.slice(0, -1).includes(""));
  assert.deepEqual(layerRanges(layers), [
    { offset: 0, length: 4096 },
    { offset: 4096, length: 512 },
    { offset: 4608, length: 8192 },
  ]);
});
