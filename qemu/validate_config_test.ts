import assert from "node:assert/strict";
import type { VmConfig } from "./config.ts";
import { FD, SMALLEST } from "./testing/vm_config.ts";
import { validateVmConfig } from "./validate_config.ts";

const { files, size } = SMALLEST;
const share = { tag: "a", directory: "/d", readonly: true };
const VALID: VmConfig = {
  ...SMALLEST,
  accelerator: "tcg",
  size: { ...size, vcpusMax: 2 },
  shares: [share],
  disks: [{ serial: "d", path: "/d", format: "raw", readonly: true }],
  scratchDisks: [{ serial: "s", file: FD }],
  nics: [{ mac: "02:00:00:00:00:01", tap: FD }],
};

const WRONG: Record<string, Partial<VmConfig>> = {
  qemuPath: { files: { ...files, qemuPath: "q" } },
  kernelPath: { files: { ...files, kernelPath: "/k\n" } },
  name: { name: "with space" },
  memoryMibMax: { size: { ...size, memoryMibMax: 512.5 } },
  vcpus: { size: { ...size, vcpus: 3, vcpusMax: 2 } },
  vcpusMax: { size: { ...size, vcpusMax: 65 } },
  tscKhz: { tscKhz: 1 },
  "shares.tag": { shares: [share, share] },
  "disks.serial": {
    disks: [{ serial: "twenty-one-bytes-long", path: "/", format: "raw", readonly: true }],
  },
  "nics.mac": { nics: [{ mac: "01:00:00:00:00:01", tap: FD }] },
  kernelParameters: { kernelParameters: ["quiet init=/bin/sh"] },
};

Deno.test("validateVmConfig accepts a valid configuration", () => validateVmConfig(VALID, 3));

for (const [field, change] of Object.entries(WRONG)) {
  Deno.test(`validateVmConfig names an invalid ${field}`, () => {
    assert.throws(
      () => validateVmConfig({ ...VALID, ...change }, 3),
      (error: Error) => error.message.startsWith(field),
    );
  });
}

Deno.test("validateVmConfig names an invalid context id", () => {
  assert.throws(() => validateVmConfig(VALID, 2), /^VmError: cid 2 must be/);
});
