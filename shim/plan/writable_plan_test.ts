import assert from "node:assert/strict";
import { resolveConfig } from "../config/config.ts";
import { assertRefused } from "../testing/refused.ts";
import { templatePath } from "./disk_template.ts";
import { planWritable } from "./writable_plan.ts";

const MKFS = "/usr/sbin/mkfs.ext4";
const TEMPLATE = templatePath({ stateDir: "/var/lib/qemubox", mib: 10_240 });

function plan(
  settings: Readonly<Record<string, unknown>>,
  { files = [MKFS], slotLeft = true, ofSnapshot = null }: {
    files?: readonly string[];
    slotLeft?: boolean;
    ofSnapshot?: string | null;
  } = {},
) {
  const file = JSON.stringify(settings);
  return planWritable(resolveConfig({ file, environment: {}, annotations: {} }), {
    ofSnapshot,
    isFile: (path) => files.includes(path),
    slotLeft,
  });
}

Deno.test("the writable layer is a disk by default", () => {
  const warning = null;
  for (const settings of [{}, { writable: "disk" }]) {
    const made = { kind: "disk", mib: 10_240, mkfsPath: MKFS } as const;
    assert.deepEqual(plan(settings), { writable: made, warning });
    const copied = { ...made, mkfsPath: null };
    assert.deepEqual(plan(settings, { files: [TEMPLATE] }), { writable: copied, warning });
  }
});

Deno.test("a setting makes the writable layer a tmpfs, whatever the host has", () => {
  for (const files of [[], [MKFS]]) {
    assert.deepEqual(plan({ writable: "tmpfs", writable_mib: 20 }, { files, slotLeft: false }), {
      writable: { kind: "tmpfs", mib: 20 },
      warning: null,
    });
  }
});

Deno.test("without mkfs.ext4 the layer is a tmpfs with a warning, unless a disk is set", () => {
  const { writable, warning } = plan({ writable_mib: 20 }, { files: [] });
  assert.deepEqual(writable, { kind: "tmpfs", mib: 20 });
  assert.match(
    warning!,
    /^the writable layer is in memory: mkfs.ext4 not found at .*install e2fsprogs/,
  );
  for (const asked of [{ writable: "disk" }, { mkfs_path: "/not/there" }]) {
    const work = () => plan(asked, { files: [] });
    assertRefused(work, "host", /^mkfs\.ext4 not found at \/.*: install e2fsprogs/);
    assert.throws(work, {
      field: "mkfs.ext4",
      fix: "install e2fsprogs, set mkfs_path in /etc/qemubox/config.json, or put the writable " +
        "layer in memory (writable: tmpfs)",
    });
  }
});

Deno.test("without a virtio slot the layer is a tmpfs with a warning, unless a disk is set", () => {
  const { writable, warning } = plan({}, { slotLeft: false });
  assert.deepEqual(writable, { kind: "tmpfs", mib: null });
  assert.match(warning!, /^no virtio slot is left for a disk: the writable layer is in memory$/);
  // The machine's own check names the device that is too many.
  assert.equal(plan({ writable: "disk" }, { slotLeft: false }).writable.kind, "disk");
});

Deno.test("a snapshot's own image takes precedence over all settings", () => {
  const path = "/snapshots/1/rwlayer.img";
  for (const settings of [{}, { writable: "tmpfs" }, { writable: "disk", writable_mib: 20 }]) {
    assert.deepEqual(plan(settings, { files: [], slotLeft: false, ofSnapshot: path }), {
      writable: { kind: "snapshot", path },
      warning: null,
    });
  }
});
