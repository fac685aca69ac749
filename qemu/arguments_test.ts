import assert from "node:assert/strict";
import { extentPath, qemuArguments, type QemuHandles } from "./arguments.ts";
import type { VmConfig } from "./config.ts";
import { VIRTIO_SLOTS_MAX } from "./devices.ts";
import { assertGolden } from "./testing/golden.ts";
import { FD, SMALLEST } from "./testing/vm_config.ts";

const FEWEST: QemuHandles = {
  ...{ cid: 70_000, qmp: 3, vsock: null, filesystems: [], scratchDisks: [], nics: [] },
};

const share = (tag: string) => ({ tag, directory: "/d", readonly: true });
const EVERYTHING: VmConfig = {
  ...SMALLEST,
  name: "k8s.io/with,comma",
  accelerator: "tcg",
  tscKhz: 2_600_000,
  size: { memoryMib: 1024, memoryMibMax: 1024, vcpus: 2, vcpusMax: 4 },
  transport: "vhost-user",
  shares: [share("rootfs"), share("volumes")],
  disks: [
    { serial: "layers", path: '/var/lib/x/layers "1",2.vmdk', format: "vmdk", readonly: true },
  ],
  scratchDisks: [{ serial: "writable", file: FD }],
  nics: [
    { mac: "52:54:00:12:34:56", tap: FD },
    { mac: "52:54:00:12:34:57", tap: FD, vhost: FD },
  ],
  kernelParameters: ["loglevel=7"],
};
const ALL: QemuHandles = {
  cid: 70_001,
  qmp: { path: "/run/q/a,b/qmp.sock" },
  vsock: 4,
  filesystems: [5, 10],
  scratchDisks: [6],
  nics: [{ tap: 7 }, { tap: 8, vhost: 9 }],
};

Deno.test("the arguments of the smallest VM match the golden file", () => {
  assertGolden("arguments_smallest.txt", qemuArguments(SMALLEST, FEWEST).join("\n") + "\n");
});

Deno.test("the arguments of a VM with every device match the golden file", () => {
  assertGolden("arguments_everything.txt", qemuArguments(EVERYTHING, ALL).join("\n") + "\n");
});

Deno.test("the arguments of a VM whose files are descriptors match the golden file", () => {
  const disks = [{ ...EVERYTHING.disks[0]!, extents: ["/a", "/b"] }];
  const files = {
    ...{ firmware: 11, kernel: 12, initrd: 13, root: 14 },
    disks: [{ image: 15, extents: [16, 17] }],
  };
  const config: VmConfig = { ...EVERYTHING, accelerator: "kvm", transport: "kernel", disks };
  const handles = { ...ALL, vsock: null, kvm: 18, vhostVsock: 19, files };
  const args = qemuArguments(config, handles);
  assertGolden("arguments_descriptors.txt", args.join("\n") + "\n");
  // QEMU opens nothing by path.
  for (const path of [...Object.values(config.files), disks[0]!.path]) {
    assert(!args.some((one) => path !== null && one.includes(path)), path!);
  }
  assert.equal(extentPath(1), "/dev/fdset/2001");
  assert(args.includes("fd=17,set=2001"));
});

Deno.test("each device takes one slot", () => {
  const args = qemuArguments(EVERYTHING, ALL);
  assert.equal(args.filter((one) => one === "-device").length, VIRTIO_SLOTS_MAX);
});

Deno.test("a file name with quotes and commas reaches QEMU unchanged", () => {
  const args = qemuArguments(EVERYTHING, ALL);
  const blockdev = args.map((one) => one.startsWith("{") ? JSON.parse(one) : null)
    .find((one) => one?.["node-name"] === "disk0");
  assert.equal(blockdev.file.filename, '/var/lib/x/layers "1",2.vmdk');
  assert.equal(blockdev["read-only"], true);
});

Deno.test("an invalid configuration is refused", () => {
  const size = { ...SMALLEST.size, memoryMibMax: 0 };
  assert.throws(() => qemuArguments({ ...SMALLEST, size }, FEWEST), { kind: "config" });
});

Deno.test("only a scratch disk that outlives the VM is flushed", () => {
  for (const outlives of [true, false]) {
    const scratchDisks = [{ serial: "w", file: FD, outlives }];
    const args = qemuArguments({ ...SMALLEST, scratchDisks }, { ...FEWEST, scratchDisks: [6] });
    const node = JSON.parse(args.find((one) => one.includes("/dev/fdset/6"))!);
    assert.deepEqual(node.cache, { "no-flush": !outlives });
    assert.deepEqual(node.file.cache, { "no-flush": !outlives });
  }
});
