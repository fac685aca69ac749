import assert from "node:assert/strict";
import { checkSlots, hasSlotLeft, validateVmConfig, type VmConfig } from "./config.ts";

const VALID: VmConfig = {
  name: "ns/id",
  qemuPath: "/q",
  firmwarePath: "/f",
  kernelPath: "/k",
  rootPath: "/r",
  initrdPath: "/usr/share/qemubox/kernel/qemubox-initrd",
  accelerator: "tcg",
  memoryMib: 512,
  vcpus: 1,
  vcpusMax: 2,
  vsock: { transport: "kernel", cid: 3 },
  filesystems: [{ tag: "a", socket: { fd: 4 } }],
  disks: [{ serial: "d", path: "/d", format: "raw", readonly: true }],
  scratchDisks: [{ serial: "s", fd: 6 }],
  nics: [{ mac: "02:00:00:00:00:01", tapFd: 5 }],
  balloon: { returnsFree: true, holdsBack: false },
  qmp: { fd: 3 },
};

const WRONG: Record<string, Partial<VmConfig>> = {
  qemuPath: { qemuPath: "q" },
  kernelPath: { kernelPath: "/k\n" },
  name: { name: "with space" },
  memoryMib: { memoryMib: 512.5 },
  vcpus: { vcpus: 3 },
  vcpusMax: { vcpusMax: 65 },
  "vsock.cid": { vsock: { transport: "kernel", cid: 2 } },
  tscKhz: { tscKhz: 1 },
  "filesystems.tag": {
    filesystems: [{ tag: "a", socket: { fd: 4 } }, { tag: "a", socket: { fd: 5 } }],
  },
  "disks.serial": {
    disks: [{ serial: "twenty-one-bytes-long", path: "/", format: "raw", readonly: true }],
  },
  "nics.mac": { nics: [{ mac: "01:00:00:00:00:01", tapFd: 5 }] },
  kernelParameters: { kernelParameters: ["quiet init=/bin/sh"] },
};

Deno.test("validateVmConfig accepts a valid configuration", () => validateVmConfig(VALID));

for (const [field, change] of Object.entries(WRONG)) {
  Deno.test(`validateVmConfig names an invalid ${field}`, () => {
    assert.throws(
      () => validateVmConfig({ ...VALID, ...change }),
      (error: Error) => error.message.startsWith(field),
    );
  });
}

Deno.test("eight virtio devices fit, and a ninth is refused with the count of each kind", () => {
  checkSlots({ filesystems: 2, disks: 2, nics: 2 });
  assert.equal(hasSlotLeft({ filesystems: 2, disks: 2, nics: 2 }), false);
  assert.equal(hasSlotLeft({ filesystems: 2, disks: 2, nics: 1 }), true);
  assert.throws(() => checkSlots({ filesystems: 2, disks: 1, nics: 4 }), {
    message: "virtual machine needs 9 virtio devices (1 vsock, 1 root disk, 2 file systems, " +
      "1 disks, 4 network interfaces), but a microvm has 8 slots",
  });
});
