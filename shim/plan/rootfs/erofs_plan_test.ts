import assert from "node:assert/strict";
import { type LayerProbe, planErofs } from "./erofs_plan.ts";
import { filesOf, layerDescriptor, layerRanges } from "./layer_disk.ts";
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
const WRITABLE: SnapshotMount = {
  type: "ext4",
  source: "/s/9/rwlayer.img",
  options: ["rw", "loop"],
};
const paths = (mounts: readonly SnapshotMount[], host = probe) =>
  planErofs(mounts, host)?.layers.map(({ path }) => path) ?? null;

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
  assert.deepEqual(
    planErofs(
      [images[0]!, WRITABLE, format("{{ mount 0 }}", "upperdir={{ mount 1 }}/upper")],
      probe,
    ),
    { layers: [{ path: one, bytes: 8192 }], writable: WRITABLE.source },
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
  const mixed = [images[0]!, WRITABLE, format("{{ overlay 0 1 }}")];
  assert.throws(() => paths(mixed), /of type ext4 and not erofs/);
  assert.throws(() => paths([erofs("/x/other.erofs", "fsoffset=1")]), /with option fsoffset=1/);
});

/** What containerd 2.4.2 hands over, when the shim claims what mount_claims.ts says. */
const RAW = {
  /** The mounts of an active snapshot: `upper` is what its options say of its upper folder. */
  active: (
    layers: readonly string[],
    before: readonly SnapshotMount[],
    upper: readonly string[],
  ) => {
    const [first, last] = [before.length, before.length + layers.length - 1];
    const lower = first === last ? `{{ mount ${first} }}` : `{{ overlay ${first} ${last} }}`;
    return [...before, ...layers.map((layer) => erofs(layer)), {
      type: "format/mkdir/overlay",
      source: "overlay",
      options: [...upper, `lowerdir=${lower}`],
    }];
  },
  folders: ["workdir=/s/9/work", "upperdir=/s/9/fs"],
  block: [
    "X-containerd.mkdir.path={{ mount 0 }}/upper:0755",
    "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
    "workdir={{ mount 0 }}/work",
    "upperdir={{ mount 0 }}/upper",
  ],
};

for (const count of [1, 2, 21]) {
  Deno.test(`a snapshot of containerd 2.4 with ${count} parents`, () => {
    const layers = Array.from({ length: count }, (_, n) => `/s/${count - n}/layer.erofs`);
    const plan = (before: SnapshotMount[], upper: string[]) =>
      planErofs(RAW.active(layers, before, upper), probe);
    const files = layers.map((path) => ({ path, bytes: 8192 }));
    assert.deepEqual(plan([], RAW.folders), { layers: files, writable: null });
    assert.deepEqual(plan([WRITABLE], RAW.block), { layers: files, writable: WRITABLE.source });
    // A view has no upper folder.
    assert.deepEqual(plan([], []), { layers: files, writable: null });
  });
}

Deno.test("a snapshot without a parent is its image alone", () => {
  const bind = (source: string, mode: string): SnapshotMount => ({
    type: "format/mkdir/bind",
    source,
    options: ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", mode, "rbind"],
  });
  assert.deepEqual(planErofs([WRITABLE, bind("{{ mount 0 }}/upper", "rw")], probe), {
    layers: [],
    writable: WRITABLE.source,
  });
  assert.throws(
    () => planErofs([WRITABLE, bind("{{ mount 0 }}/other", "rw")], probe),
    /not understood/,
  );
});

Deno.test("an image with further devices, and a view of it alone", () => {
  const merged = erofs("/s/2/other.erofs", "device=/s/1/layer.erofs", "device=/s/2/layer.erofs");
  const layer = {
    path: "/s/2/other.erofs",
    bytes: 8192,
    devices: [{ path: "/s/1/layer.erofs", bytes: 8192 }, { path: "/s/2/layer.erofs", bytes: 8192 }],
  };
  const view = { type: "format/bind", source: "{{ mount 0 }}", options: ["ro", "rbind"] };
  assert.deepEqual(planErofs([merged, view], probe), { layers: [layer], writable: null });
  assert.deepEqual(
    filesOf([layer, { path: "/s/3/layer.erofs", bytes: 512 }]).map(({ path }) => path),
    [
      "/s/2/other.erofs",
      "/s/1/layer.erofs",
      "/s/2/layer.erofs",
      "/s/3/layer.erofs",
    ],
  );
  assert.throws(() => paths([erofs("/s/other.erofs", "device=/gone")]), /\/gone is no EROFS image/);
});

Deno.test("what nobody could mount is refused by what is wrong with it", () => {
  const [one] = ["/s/1/layer.erofs"];
  const with_ = (...options: string[]) => planErofs(RAW.active([one!], [], options), probe);
  const refused: [() => unknown, RegExp][] = [
    [
      () => paths([erofs(one!, "X-containerd.dmverity=/s/1/layer.erofs.dmverity")]),
      /dmverity_mode = "off"/,
    ],
    [() => with_("upperdir=/s/full/fs"), /written to \/s\/full\/fs .* default_size/],
    [() => with_("uidmap=0:1000:65536"), /option uidmap=.* remap_ids = false/],
    [() => planErofs(RAW.active(["/s/1/gone"], [], []), probe), /\/s\/1\/gone is no EROFS image/],
    [
      () => planErofs(RAW.active([one!], [{ ...WRITABLE, type: "mkfs/ext4" }], RAW.block), probe),
      /rwlayer\.img of type mkfs\/ext4 .* made by containerd/,
    ],
    [
      () => planErofs(RAW.active([one!], [{ ...WRITABLE, type: "xfs" }], RAW.block), probe),
      /of type xfs .* has to be an ext4/,
    ],
    [
      () => planErofs(RAW.active([one!], [{ ...WRITABLE, options: ["ro"] }], RAW.block), probe),
      /\(ro\) cannot be written to/,
    ],
    [() => with_("upperdir={{ mount 0 }}/elsewhere"), /template .* is not understood/],
    [() => with_("upperdir={{ mount 7 }}/upper"), /names a mount that is not there/],
  ];
  for (const [work, message] of refused) assert.throws(work, { name: "RootfsError", message });
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
  // How many fit on a disk is not for this to say.
  assert.equal(paths(layers(256))!.length, 256);
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
