import assert from "node:assert/strict";
import { assertRefused } from "../../testing/refused.ts";
import { type LayerProbe, planErofs } from "./erofs_plan.ts";
import { filesOf, layerDescriptor, layerRanges } from "./layer_disk.ts";
import type { SnapshotMount } from "./snapshot_mount.ts";

/** A host that has every layer.erofs and other.erofs, and no other file. */
const probe: LayerProbe = {
  fileBytes: (path) => /\/(layer|other)\.erofs$/.test(path) ? 8192 : null,
  isEmptyDirectory: (path) => path !== "/s/full/fs",
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

Deno.test("an overlay of directories that the snapshotter mounted stands for their images", () => {
  const mounts = [overlay("workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs")];
  assert.deepEqual(paths(mounts), ["/s/2/layer.erofs", "/s/1/layer.erofs"]);
  assert.deepEqual(paths([{ type: "bind", source: "/s/1/fs", options: ["ro", "rbind"] }]), [
    "/s/1/layer.erofs",
  ]);
  assert.deepEqual(paths([overlay("lowerdir=/s/a\\:b/fs")]), ["/s/a:b/layer.erofs"]);
});

Deno.test("images handed over as mounts are used in the order that a template gives", () => {
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
      ["{{ overlay 0 3 }}", /^root file system: template .* names a mount that does not exist$/],
      ["{{ overlay 0 }}", /^root file system: template ".*" is not understood$/],
      ["{{ mount 0 1 }}", /^root file system: template ".*" is not understood$/],
      ["{{ source 0 }}", /^root file system: template ".*" is not understood$/],
    ] as const
  ) assertRefused(() => paths([...images, format(lower)]), "invalid", message);
  const mixed = [images[0]!, WRITABLE, format("{{ overlay 0 1 }}")];
  assertRefused(
    () => paths(mixed),
    "invalid",
    /^root file system: a layer is of type ext4 and not erofs$/,
  );
  assertRefused(
    () => paths([erofs("/x/other.erofs", "fsoffset=1")]),
    "invalid",
    /^root file system: EROFS image \/x\/other\.erofs with option fsoffset=1 is not supported: let the/,
  );
});

/** The mounts of containerd 2.4.2, if the shim claims the types of mount_claims.ts. */
const RAW = {
  /** The mounts of an active snapshot; `upper` are the options for its upper directory. */
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
  directories: ["workdir=/s/9/work", "upperdir=/s/9/fs"],
  block: [
    "X-containerd.mkdir.path={{ mount 0 }}/upper:0755",
    "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
    "workdir={{ mount 0 }}/work",
    "upperdir={{ mount 0 }}/upper",
  ],
};

for (const count of [1, 2, 21]) {
  Deno.test(`a snapshot of containerd 2.4 with ${count} parents is planned as its images`, () => {
    const layers = Array.from({ length: count }, (_, n) => `/s/${count - n}/layer.erofs`);
    const plan = (before: SnapshotMount[], upper: string[]) =>
      planErofs(RAW.active(layers, before, upper), probe);
    const files = layers.map((path) => ({ path, bytes: 8192 }));
    assert.deepEqual(plan([], RAW.directories), { layers: files, writable: null });
    assert.deepEqual(plan([WRITABLE], RAW.block), { layers: files, writable: WRITABLE.source });
    // A view has no upper directory.
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
  assertRefused(
    () => planErofs([WRITABLE, bind("{{ mount 0 }}/other", "rw")], probe),
    "invalid",
    /^root file system: template ".*" is not understood$/,
  );
});

Deno.test("an image keeps its further devices in order, in a view as well", () => {
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
  assertRefused(
    () => paths([erofs("/s/other.erofs", "device=/gone")]),
    "invalid",
    /^root file system: \/gone is not an EROFS image \(a file of whole sectors of 512 bytes\)$/,
  );
});

Deno.test("EROFS images that nobody could mount are refused with the reason", () => {
  const [one] = ["/s/1/layer.erofs"];
  const with_ = (...options: string[]) => planErofs(RAW.active([one!], [], options), probe);
  const refused: [() => unknown, RegExp][] = [
    [
      () => paths([erofs(one!, "X-containerd.dmverity=/s/1/layer.erofs.dmverity")]),
      /dmverity_mode = "off"/,
    ],
    [
      () => with_("upperdir=/s/full/fs"),
      /\/s\/full\/fs has files that were written outside of a VM.*: give .* default_size/,
    ],
    [() => with_("uidmap=0:1000:65536"), /option uidmap=.* remap_ids = false/],
    [
      () => planErofs(RAW.active(["/s/1/gone"], [], []), probe),
      /\/s\/1\/gone is not an EROFS image/,
    ],
    [
      () => planErofs(RAW.active([one!], [{ ...WRITABLE, type: "mkfs/ext4" }], RAW.block), probe),
      /rwlayer\.img of type mkfs\/ext4 .* has to be an ext4 that containerd made$/,
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
    [() => with_("upperdir={{ mount 7 }}/upper"), /names a mount that does not exist$/],
  ];
  for (const [work, message] of refused) assertRefused(work, "invalid", message);
  assert.throws(() => with_("upperdir=/s/full/fs"), {
    field: "root file system:",
    fix: "give the EROFS snapshotter a default_size, or commit the snapshot",
  });
});

Deno.test("mounts that are not all EROFS are mounted as with any other snapshotter", () => {
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
  // The limit of files per disk is not this planner's.
  assert.equal(paths(layers(256))!.length, 256);
});

Deno.test("the disk's descriptor has no empty line before the first extent, and lists files in order", () => {
  const layers = [{ path: '/a"b', bytes: 4096 }, { path: "/c", bytes: 512 }, {
    path: "/d",
    bytes: 8192,
  }];
  const text = layerDescriptor(layers);
  const lines = text.split("\n");
  assert.match(lines[0]!, /^# Disk DescriptorFile$/);
  assert.deepEqual(lines.filter((line) => line.startsWith("RW")), [
    'RW 8 FLAT "/dev/fdset/2000" 0',
    'RW 1 FLAT "/dev/fdset/2001" 0',
    'RW 16 FLAT "/dev/fdset/2002" 0',
  ]);
  assert(!lines.slice(0, -1).includes(""));
  assert.deepEqual(layerRanges(layers), [
    { offset: 0, length: 4096 },
    { offset: 4096, length: 512 },
    { offset: 4608, length: 8192 },
  ]);
});
