import assert from "node:assert/strict";
import { Bundles } from "./bundles.ts";
import { memoryConsole } from "../testing/memory_console.ts";
import { bundleRequest, layer } from "../testing/bundle_request.ts";
import { fakeMounts } from "../testing/fake_mounts.ts";

const MOUNTS = 4; // two shares, a tmpfs, the overlay
const request = () =>
  bundleRequest({
    rootfs: {
      lower: [layer("a"), layer("b")],
      writable: { kind: { case: "tmpfs", value: { sizeBytes: 0n } } },
    },
  });

async function inDirectory(run: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("delete undoes create in the opposite order", () =>
  inDirectory(async (root) => {
    const { system, mounted, unmounted } = fakeMounts();
    const console = memoryConsole();
    const bundles = new Bundles(system, console, root);
    const path = bundles.create(request());

    assert.equal(path, `${root}/c1`);
    assert.equal(bundles.pathOf("c1"), path);
    assert.equal(bundles.has(path), true);
    assert.equal(bundles.has(`${root}/c2`), false);
    assert.equal(mounted.length, MOUNTS);
    const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assert.deepEqual(names, [
      "config.json",
      "layers",
      "resolv.conf",
      "rootfs",
      "shares",
      "writable",
    ]);
    const mode = Deno.statSync(`${path}/resolv.conf`).mode as number & 0o777;
    assert.equal(mode & 0o777, 0o644);
    const order = [...mounted];

    await bundles.delete("c1");
    assert.deepEqual(unmounted, order.reverse());
    assert.deepEqual([...Deno.readDirSync(root)], []);
    await assert.rejects(bundles.delete("c1"), /no bundle "c1"/);
    assert.deepEqual(console.lines, []);
  }));

Deno.test("a failed mount leaves nothing, and the id is free again", async () => {
  for (let failAt = 0; failAt < MOUNTS; failAt++) {
    await inDirectory((root) => {
      const { system, mounted } = fakeMounts(failAt);
      const bundles = new Bundles(system, memoryConsole(), root);
      assert.throws(
        () => bundles.create(request()),
        { name: "RpcError", message: /bundle "c1": mount .* on .*c1\/.*ENODEV/ },
      );
      assert.deepEqual(mounted, []);
      assert.deepEqual([...Deno.readDirSync(root)], []);
      bundles.create(request()); // the fake fails once
      assert.equal(mounted.length, MOUNTS);
    });
  }
});

Deno.test("a second bundle of the same id is refused and does not change the first", () =>
  inDirectory((root) => {
    const { system, mounted } = fakeMounts();
    const bundles = new Bundles(system, memoryConsole(), root);
    bundles.create(request());
    assert.throws(() => bundles.create(request()), /already exists/);
    assert.equal(mounted.length, MOUNTS);
  }));

Deno.test("an existing directory is not removed", () =>
  inDirectory((root) => {
    Deno.mkdirSync(`${root}/c1`);
    Deno.writeTextFileSync(`${root}/c1/precious`, "");
    const { system, mounted } = fakeMounts();
    assert.throws(() => new Bundles(system, memoryConsole(), root).create(request()), /c1/);
    assert.equal(Deno.statSync(`${root}/c1/precious`).isFile, true);
    assert.deepEqual(mounted, []);
  }));

Deno.test("a busy mount is detached, and the rest is undone", () =>
  inDirectory((root) => {
    const { system, mounted } = fakeMounts();
    const unmount = system.unmount;
    let refused = 0;
    system.unmount = (target, flags = 0) => {
      if ((flags & 2) === 0 && target.endsWith("/rootfs")) {
        refused++;
        throw new Error("busy");
      }
      unmount(target, flags);
    };
    const console = memoryConsole();
    const bundles = new Bundles(system, console, root);
    bundles.create(request());
    bundles.deleteAll();
    assert.equal(refused, 1);
    assert.deepEqual(mounted, []);
    assert.deepEqual([...Deno.readDirSync(root)], []);
    assert.match(console.lines.join("\n"), /rootfs: Error: busy; detaching/);
  }));

Deno.test("a share of several bundles is mounted once, and again after the last of them", () =>
  inDirectory(async (root) => {
    const { system, mounted } = fakeMounts();
    const { mount } = system;
    const shares: string[] = [];
    system.mount = (source, target, fstype, flags, data) => {
      if (target.includes("/shares/")) {
        shares.push(`${source} ${fstype} ${target.slice(root.length)}`);
      }
      mount(source, target, fstype, flags, data);
    };
    const bundles = new Bundles(system, memoryConsole(), root);
    const one = (id: string) =>
      bundles.create(bundleRequest({ id, rootfs: { lower: [layer("a")] } }));
    one("c1");
    one("c2");
    await bundles.delete("c1");
    one("c3");
    await bundles.delete("c2");
    await bundles.delete("c3");
    assert.deepEqual(mounted, []);
    one("c4");
    assert.deepEqual(shares, [
      "a virtiofs /c1/shares/a",
      `${root}/c1/shares/a null /c2/shares/a`,
      `${root}/c2/shares/a null /c3/shares/a`,
      "a virtiofs /c4/shares/a",
    ]);
  }));

Deno.test("delete removes a bundle's directory on a shared disk", () =>
  inDirectory(async (root) => {
    const { system, mounted, unmounted } = fakeMounts();
    const bundles = new Bundles(system, memoryConsole(), root, () => "/dev/vdb");
    const kind = { case: "disk", value: { serial: "writable", folder: "c7" } } as const;
    const rootfs = { lower: [layer("a")], writable: { kind } };
    const path = bundles.create(bundleRequest({ rootfs }));
    Deno.mkdirSync(`${path}/disk/c7/upper/deep/er`, { recursive: true });
    Deno.mkdirSync(`${path}/disk/c8`);
    const order = [...mounted];
    assert.deepEqual(order.slice(-3).map((target) => target.slice(path.length)), [
      "/disk",
      "/writable",
      "/rootfs",
    ]);
    const { remove } = Deno;
    const removed: [string, string[]][] = [];
    using _ = { [Symbol.dispose]: () => void (Deno.remove = remove) };
    Deno.remove = async (target, options) => {
      removed.push([target.toString().slice(path.length), [...unmounted]]);
      await remove(target, options);
    };
    await bundles.delete("c1");
    // After everything mounted over it, and before the disk.
    assert.deepEqual(removed, [["/disk/c7", order.slice(-2).reverse()]]);
    assert.deepEqual(unmounted, order.reverse());
    assert.deepEqual([...Deno.readDirSync(root)], []);
  }));

Deno.test("a failed create leaves nothing on a shared disk", () =>
  inDirectory((root) => {
    const disk = `${root}/c1/disk`;
    const { system } = fakeMounts(4); // the overlay
    const kind = { case: "disk", value: { serial: "writable", folder: "c7" } } as const;
    const rootfs = { lower: [layer("a"), layer("b")], writable: { kind } };
    const bundles = new Bundles(system, memoryConsole(), root, () => "/dev/vdb");
    const unmount = system.unmount;
    let onDisk: string[] = ["?"];
    system.unmount = (target, flags) => {
      if (target === disk) onDisk = [...Deno.readDirSync(disk)].map(({ name }) => name);
      unmount(target, flags);
    };
    assert.throws(() => bundles.create(bundleRequest({ rootfs })), /rootfs.*ENODEV/);
    assert.deepEqual(onDisk, []);
  }));

Deno.test("the contents of a snapshot's disk are kept, and flush flushes it", async () => {
  await inDirectory((root) => {
    const { system } = fakeMounts();
    const flushed: string[] = [];
    system.flushFileSystem = (path) => Promise.resolve(void flushed.push(path));
    const bundles = new Bundles(system, memoryConsole(), root, () => "/dev/vdb");
    const writable = { kind: { case: "snapshot" as const, value: { serial: "writable" } } };
    // Stands in for a mount: the contents of a disk that was used before.
    const mount = system.mount;
    system.mount = (source, target, ...more) => {
      if (source === "/dev/vdb") {
        Deno.mkdirSync(`${target}/upper`, { mode: 0o711 });
        Deno.writeTextFileSync(`${target}/upper/kept`, "");
      }
      mount(source, target, ...more);
    };
    const path = bundles.create(bundleRequest({ rootfs: { lower: [layer("a")], writable } }));
    assert.equal(Deno.statSync(`${path}/writable/upper`).mode! & 0o777, 0o711);
    assert.equal(Deno.statSync(`${path}/writable/upper/kept`).isFile, true);
    assert.equal(Deno.statSync(`${path}/writable/work`).mode! & 0o777, 0o755);
    void bundles.flush(path);
    void bundles.flush(`${root}/other`);
    assert.deepEqual(flushed, [`${path}/writable`]);
  });
  await inDirectory((root) => {
    // A link on it is not followed.
    const { system, mounted } = fakeMounts();
    system.mount = (_source, target) => {
      if (target.endsWith("/writable")) Deno.symlinkSync("/", `${target}/upper`);
      mounted.push(target);
    };
    const bundles = new Bundles(system, memoryConsole(), root, () => "/dev/vdb");
    const writable = { kind: { case: "snapshot" as const, value: { serial: "writable" } } };
    const request = bundleRequest({ rootfs: { lower: [layer("a")], writable } });
    assert.throws(() => bundles.create(request), /writable\/upper: .*exists/i);
    assert.deepEqual(mounted, []);
  });
});
