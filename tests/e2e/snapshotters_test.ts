/** Images of every kind of snapshotter, and views: nothing may write to the layers. */

import assert from "node:assert/strict";
import { Box } from "../conformance/box.ts";
import { Host } from "../conformance/shim.ts";
import { Client, ctr, ctrOk, LAYERS, runArguments } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

/** A mount of a snapshotter. */
interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Reads the image, changes it in the container's view, and prints "ok". */
const SCRIPT = "cat /layers/top; echo new > /layers/new && rm /bin/vi && cat /layers/new; echo ok";

e2e("an image of the native snapshotter, whose layers are copies, works", async (bench) => {
  const folder = "/var/lib/containerd/io.containerd.snapshotter.v1.native/snapshots";
  await using client = new Client(
    runArguments(bench.newId(), ["sh", "-c", `${SCRIPT}; read _`], {
      ...{ snapshotter: "native", image: LAYERS, flags: ["--rm"] },
    }),
    { input: true },
  );
  try {
    await client.line("ok");
    assert.deepEqual(written(folder), []);
    await client.write("go on\n");
    const { stdout, stderr, code } = await client.ended;
    assert.deepEqual([stdout, stderr, code], ["20\nnew\nok\n", "", 0]);
  } finally {
    await client[Symbol.asyncDispose]();
    await removeSnapshots("native");
  }
});

for (const snapshotter of ["overlayfs", "erofs", "native"]) {
  e2e(`a read-only view of ${snapshotter} works`, async () => {
    if (snapshotter === "native") await unpack(snapshotter);
    const snapshots = ["snapshots", "--snapshotter", snapshotter];
    await ctrOk(...snapshots, "view", "e2e-view", await topOf(snapshotter));
    // Otherwise it is collected as garbage.
    await ctrOk(...snapshots, "label", "e2e-view", "containerd.io/gc.root=now");
    try {
      const mounts = mountsIn(await ctrOk(...snapshots, "mounts", "/target", "e2e-view"));
      assert(mounts.every(({ options }) => !options.some((one) => one.startsWith("upperdir="))));
      assert.equal(await outputOf(mounts), "20\nnew\nok\n");
    } finally {
      await ctrOk(...snapshots, "rm", "e2e-view");
      if (snapshotter === "native") await removeSnapshots(snapshotter);
    }
    const folder = `/var/lib/containerd/io.containerd.snapshotter.v1.${snapshotter}/snapshots`;
    assert.deepEqual(written(folder), []);
  });
}

/** As with stargz or nydus, each layer is a file system that the snapshotter has mounted. */
e2e("layers that are mounts themselves work, with and without a writable one", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "e2e-mounted-" });
  const layers = [1, 2, 3].map((layer) => `${folder}/${layer}/fs`);
  const [upper, work] = [`${folder}/4/fs`, `${folder}/4/work`];
  try {
    for (const [index, layer] of layers.entries()) {
      Deno.mkdirSync(layer, { recursive: true });
      await run("mount", "-t", "tmpfs", "layer", layer);
      for (const below of ["bin", "layers", "proc", "dev", "tmp", "sys"]) {
        Deno.mkdirSync(`${layer}/${below}`);
      }
      Deno.writeTextFileSync(`${layer}/layers/top`, `${index + 1}\n`);
    }
    Deno.copyFileSync("/bin/busybox", `${layers[0]}/bin/busybox`);
    for (const applet of ["sh", "cat", "rm", "vi"]) {
      Deno.symlinkSync("busybox", `${layers[0]}/bin/${applet}`);
    }
    for (const made of [upper, work]) Deno.mkdirSync(made, { recursive: true });
    const lower = `lowerdir=${layers.toReversed().join(":")}`;
    for (const options of [[lower], [lower, `upperdir=${upper}`, `workdir=${work}`]]) {
      const mount = { type: "overlay", source: "overlay", options };
      assert.equal(await outputOf([mount]), "3\nnew\nok\n");
      assert.deepEqual(written(folder), []);
    }
  } finally {
    for (const layer of layers) await run("umount", layer);
    Deno.removeSync(folder, { recursive: true });
  }
});

e2e("an image over virtio-fs is read once, and then cached in the guest", async (bench) => {
  const id = bench.newId();
  const read = "cat /bin/busybox | wc -c; echo read; read _";
  await using client = new Client(
    runArguments(id, ["sh", "-c", `${read}; ${read.replace("read;", "again;")}`], {
      ...{ snapshotter: "overlayfs", flags: ["--rm"] },
    }),
    { input: true },
  );
  await client.line("read");
  const before = bytesRead(id);
  await client.write("go on\n");
  await client.line("again");
  const [bytes] = client.said.split("\n").map(Number);
  assert(bytes! > 500_000, client.said);
  assert(bytesRead(id) - before < bytes! / 10, `${bytesRead(id) - before} bytes were read again`);
  await client.write("go on\n");
  assert.equal((await client.ended).code, 0);
});

/** Returns how many bytes virtiofsd has read, from files and from its sockets. */
function bytesRead(id: string): number {
  return sandboxProcesses(id).filter(({ role }) => role === "virtiofsd")
    .map(({ pid }) => Number(/^rchar: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/io`))![1]))
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Returns the output of a container with this root file system. */
async function outputOf(rootfs: readonly Mount[]): Promise<string> {
  await using host = await Host.make();
  await using box = await Box.create(host, ["sh", "-c", SCRIPT], {
    rootfs: rootfs.map((mount) => ({ ...mount, options: [...mount.options] })),
  });
  await box.start();
  await box.task.wait({ id: box.id });
  await box.task.delete({ id: box.id });
  assert.equal(await box.stdio.errors, "");
  return new TextDecoder().decode(await box.stdio.output);
}

/** Returns files that only the container's writes make. */
function written(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? written(path) : name === "new" ? [path] : [];
  });
}

/** Returns the top snapshot of an image, which has no children. */
async function topOf(snapshotter: string): Promise<string> {
  const lines = (await ctrOk("snapshots", "--snapshotter", snapshotter, "ls")).trim().split("\n")
    .slice(1).map((line) => line.trim().split(/\s+/));
  const parents = new Set(lines.map((words) => words.length > 2 ? words[1] : ""));
  const tops = lines.filter(([name]) => name!.startsWith("sha256:") && !parents.has(name));
  assert.equal(tops.length, 1, tops.join("\n"));
  return tops[0]![0]!;
}

/** Parses the commands that `ctr snapshots mounts` prints. */
function mountsIn(text: string): Mount[] {
  return text.trim().split("\n").map((line) => {
    const [, type, source, options] = /^mount -t (\S+) (\S+) \S+ -o (\S+)$/.exec(line) ?? [];
    assert(options !== undefined, line);
    return { type: type!, source: source!, options: options.split(",") };
  });
}

/** Unpacks an image, as a side effect of a mount. */
async function unpack(snapshotter: string): Promise<void> {
  const target = Deno.makeTempDirSync({ prefix: "e2e-unpack-" });
  await ctrOk("images", "mount", "--snapshotter", snapshotter, LAYERS, target);
  await ctrOk("images", "unmount", "--snapshotter", snapshotter, "--rm", target);
  Deno.removeSync(target);
  // Collects garbage now, and not while a view is made.
  await ctrOk("leases", "create", "--id", "e2e-unpacked");
  await ctrOk("leases", "rm", "--sync", "e2e-unpacked");
}

/** Removes the snapshots of an image that was unpacked for a test. */
async function removeSnapshots(snapshotter: string): Promise<void> {
  const snapshots = ["snapshots", "--snapshotter", snapshotter];
  await until("removal of all snapshots", patience(60_000), async () => {
    const names = (await ctrOk(...snapshots, "ls")).trim().split("\n").slice(1)
      .map((line) => line.split(/\s+/)[0]!);
    // A snapshot with children stays for the next round.
    for (const name of names) await ctr(...snapshots, "rm", name);
    return names.length === 0 || null;
  });
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}
