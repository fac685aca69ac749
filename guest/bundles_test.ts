import assert from "node:assert/strict";
import { Bundles } from "./bundles.ts";
import { memoryConsole } from "./console.ts";
import { bundleRequest, layer } from "./testing/bundle_request.ts";
import { fakeMounts } from "./testing/fake_mounts.ts";

const MOUNTS = 4; // two shares, a tmpfs, the overlay
const request = () =>
  bundleRequest({
    rootfs: {
      lower: [layer("a"), layer("b")],
      writable: { kind: { case: "tmpfs", value: { sizeBytes: 0n } } },
    },
  });

async function inFolder(run: (folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a bundle is made, and unmade in the opposite order", () =>
  inFolder((root) => {
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

    bundles.delete("c1");
    assert.deepEqual(unmounted, order.reverse());
    assert.deepEqual([...Deno.readDirSync(root)], []);
    assert.throws(() => bundles.delete("c1"), /no bundle "c1"/);
    assert.deepEqual(console.lines, []);
  }));

Deno.test("whichever mount fails, nothing is left, and the id is free again", async () => {
  for (let failAt = 0; failAt < MOUNTS; failAt++) {
    await inFolder((root) => {
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

Deno.test("a second bundle of the same name is refused and leaves the first as it is", () =>
  inFolder((root) => {
    const { system, mounted } = fakeMounts();
    const bundles = new Bundles(system, memoryConsole(), root);
    bundles.create(request());
    assert.throws(() => bundles.create(request()), /already exists/);
    assert.equal(mounted.length, MOUNTS);
  }));

Deno.test("a folder that is in the way is not removed", () =>
  inFolder((root) => {
    Deno.mkdirSync(`${root}/c1`);
    Deno.writeTextFileSync(`${root}/c1/precious`, "");
    const { system, mounted } = fakeMounts();
    assert.throws(() => new Bundles(system, memoryConsole(), root).create(request()), /c1/);
    assert.equal(Deno.statSync(`${root}/c1/precious`).isFile, true);
    assert.deepEqual(mounted, []);
  }));

Deno.test("what is busy is detached, and the rest is undone all the same", () =>
  inFolder((root) => {
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
