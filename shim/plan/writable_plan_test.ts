/** Where what a container writes goes, by what is set and what there is. */

import assert from "node:assert/strict";
import { Code, RpcError } from "../../proto/mod.ts";
import { resolveConfig } from "../config/config.ts";
import { planWritable } from "./writable_plan.ts";
import { templatePath } from "./disk_template.ts";

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

Deno.test("it is a disk, when nobody says what it shall be", () => {
  const warning = null;
  for (const settings of [{}, { writable: "disk" }]) {
    const made = { kind: "disk", mib: 10_240, mkfsPath: MKFS } as const;
    assert.deepEqual(plan(settings), { writable: made, warning });
    const copied = { ...made, mkfsPath: null };
    assert.deepEqual(plan(settings, { files: [TEMPLATE] }), { writable: copied, warning });
  }
});

Deno.test("it is a tmpfs when it shall be, whatever there is", () => {
  for (const files of [[], [MKFS]]) {
    assert.deepEqual(plan({ writable: "tmpfs", writable_mib: 20 }, { files, slotLeft: false }), {
      writable: { kind: "tmpfs", mib: 20 },
      warning: null,
    });
  }
});

Deno.test("without mkfs.ext4 it is a tmpfs with a warning, unless a disk was asked for", () => {
  const { writable, warning } = plan({ writable_mib: 20 }, { files: [] });
  assert.deepEqual(writable, { kind: "tmpfs", mib: 20 });
  assert.match(
    warning!,
    /^what the container writes goes to memory: mkfs.ext4 not found at .*install e2fsprogs/,
  );
  for (const asked of [{ writable: "disk" }, { mkfs_path: "/not/there" }]) {
    assert.throws(
      () => plan(asked, { files: [] }),
      (error) =>
        error instanceof RpcError && error.code === Code.FailedPrecondition &&
        /install e2fsprogs/.test(error.message),
    );
  }
});

Deno.test("without a virtio slot it is a tmpfs with a warning, unless a disk was asked for", () => {
  const { writable, warning } = plan({}, { slotLeft: false });
  assert.deepEqual(writable, { kind: "tmpfs", mib: null });
  assert.match(warning!, /no virtio slot/);
  // The machine's own check says what there is too much of.
  assert.equal(plan({ writable: "disk" }, { slotLeft: false }).writable.kind, "disk");
});

Deno.test("a snapshot's own image comes before all settings", () => {
  const path = "/snapshots/1/rwlayer.img";
  for (const settings of [{}, { writable: "tmpfs" }, { writable: "disk", writable_mib: 20 }]) {
    assert.deepEqual(plan(settings, { files: [], slotLeft: false, ofSnapshot: path }), {
      writable: { kind: "snapshot", path },
      warning: null,
    });
  }
});
