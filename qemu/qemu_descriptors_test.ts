import assert from "node:assert/strict";
import { type Fd, system } from "../ffi/mod.ts";
import { openForQemu } from "./qemu_descriptors.ts";
import { SMALLEST } from "./testing/vm_config.ts";

Deno.test("QEMU gets its files open for reading, and a copy of what others may not read", () => {
  const directory = Deno.makeTempDirSync();
  const opened: Fd[] = [];
  const [input, output] = system.socketPair();
  try {
    const write = (name: string, mode: number) => {
      const path = `${directory}/${name}`;
      Deno.writeTextFileSync(path, `this is ${name}`);
      Deno.chmodSync(path, mode);
      return path;
    };
    const open = write("open", 0o644);
    const secret = write("secret", 0o600);
    const files = { kernelPath: open, initrdPath: secret, rootPath: secret, firmwarePath: open };
    const disk = { serial: "d", path: open, format: "vmdk", readonly: true } as const;
    const config = {
      ...{ ...SMALLEST, accelerator: "tcg" as const, transport: "vhost-user" as const },
      ...{ files: { ...SMALLEST.files, ...files }, disks: [{ ...disk, extents: [secret, open] }] },
    };
    const sockets = {
      ...{
        cid: { cid: 3, fd: input },
        console: { 1: output },
        qmp: input,
        vsock: input,
        filesystems: [],
      },
      user: input,
    };
    const { fds, handles } = openForQemu(config, sockets, system, (fd) => {
      opened.push(fd);
      return fd;
    });
    const pathOf = (child: number) => `/proc/self/fd/${fds[child]}`;
    const { kernel, initrd, root, disks } = handles.files!;
    assert.equal(Deno.readLinkSync(pathOf(kernel)), open);
    assert.match(Deno.readLinkSync(pathOf(initrd)), /^\/memfd:/);
    assert.equal(Deno.readTextFileSync(pathOf(initrd)), "this is secret");
    assert.equal(Deno.readLinkSync(pathOf(root)), secret);
    assert.deepEqual(
      [disks[0]!.image, ...disks[0]!.extents].map((fd) => Deno.readLinkSync(pathOf(fd))),
      [open, secret, open],
    );
    // The locks of the ids are open in QEMU, too.
    assert.equal(Object.values(fds).filter((fd) => fd === input).length, 4);
  } finally {
    for (const fd of [...opened, input, output]) system.close(fd);
    Deno.removeSync(directory, { recursive: true });
  }
});
