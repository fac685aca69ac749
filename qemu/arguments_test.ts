import assert from "node:assert/strict";
import { qemuArguments } from "./arguments.ts";
import { VIRTIO_SLOTS_MAX, type VmConfig } from "./config.ts";
import { assertGolden } from "./testing/golden.ts";

const SMALLEST: VmConfig = {
  name: "default/c1",
  qemuPath: "/usr/bin/qemu-system-x86_64",
  firmwarePath: "/usr/share/qemu/qboot.rom",
  kernelPath: "/usr/share/qemubox/kernel/qemubox-kernel-x86_64",
  rootPath: "/usr/share/qemubox/kernel/qemubox-root",
  initrdPath: "/usr/share/qemubox/kernel/qemubox-initrd",
  accelerator: "kvm",
  memoryMib: 768,
  vcpus: 1,
  vcpusMax: 1,
  vsock: { transport: "kernel", cid: 70_000 },
  filesystems: [],
  disks: [],
  scratchDisks: [],
  nics: [],
  balloon: { returnsFree: true, holdsBack: false },
  qmp: { fd: 3 },
};

const EVERYTHING: VmConfig = {
  ...SMALLEST,
  name: "k8s.io/with,comma",
  accelerator: "tcg",
  tscKhz: 2_600_000,
  memoryMib: 1024,
  vcpus: 2,
  vcpusMax: 4,
  vsock: { transport: "vhost-user", cid: 70_001, socket: { fd: 4 } },
  filesystems: [
    { tag: "rootfs", socket: { fd: 5 } },
    { tag: "volumes", socket: { path: "/run/a,b/fs.sock" } },
  ],
  disks: [
    { serial: "layers", path: '/var/lib/x/layers "1",2.vmdk', format: "vmdk", readonly: true },
  ],
  scratchDisks: [{ serial: "writable", fd: 6 }],
  nics: [
    { mac: "52:54:00:12:34:56", tapFd: 7 },
    { mac: "52:54:00:12:34:57", tapFd: 8, vhostFd: 9 },
  ],
  // No slot is left for one.
  balloon: null,
  qmp: { path: "/run/q/qmp.sock" },
  kernelParameters: ["loglevel=7"],
};

Deno.test("the arguments of the smallest VM match the golden file", () => {
  assertGolden("arguments_smallest.txt", qemuArguments(SMALLEST).join("\n") + "\n");
});

Deno.test("the arguments of a VM with every device match the golden file", () => {
  assertGolden("arguments_everything.txt", qemuArguments(EVERYTHING).join("\n") + "\n");
});

Deno.test("each device takes one slot", () => {
  const args = qemuArguments(EVERYTHING);
  assert.equal(args.filter((one) => one === "-device").length, VIRTIO_SLOTS_MAX);
});

Deno.test("a file name with quotes and commas reaches QEMU unchanged", () => {
  const args = qemuArguments(EVERYTHING);
  const blockdev = args.map((one) => one.startsWith("{") ? JSON.parse(one) : null)
    .find((one) => one?.["node-name"] === "disk0");
  assert.equal(blockdev.file.filename, '/var/lib/x/layers "1",2.vmdk');
  assert.equal(blockdev["read-only"], true);
});

Deno.test("an invalid configuration is refused", () => {
  assert.throws(() => qemuArguments({ ...SMALLEST, memoryMib: 0 }), { kind: "config" });
});

Deno.test("only a scratch disk that outlives the VM is flushed", () => {
  for (const outlives of [true, false]) {
    const args = qemuArguments({ ...SMALLEST, scratchDisks: [{ serial: "w", fd: 6, outlives }] });
    const node = JSON.parse(args.find((one) => one.includes("/proc/self/fd/6"))!);
    assert.deepEqual(node.cache, { "no-flush": !outlives });
    assert.deepEqual(node.file.cache, { "no-flush": !outlives });
  }
});
