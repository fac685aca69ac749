/** How an image gets into its VM: EROFS layers unchanged, anything else over virtio-fs. */

import assert from "node:assert/strict";
import { type ImageRecipe, ociArchive } from "../../scripts/lib/oci_archive.ts";
import type { TarEntry } from "../../scripts/lib/tar.ts";
import { recipes, UPPER_LAYERS } from "../../scripts/lib/test_images.ts";
import { Client, ctr, ctrOk, LAYERS, runArguments, type Snapshotter } from "../lib/ctr.ts";
import { argumentsOf, qemuOf, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";

/** Devices of a sandbox for its image. */
interface Devices {
  readonly layerDisk: boolean;
  readonly virtiofsd: boolean;
  /** Number of EROFS and overlay mounts in the shim's mount namespace that the host lacks. */
  readonly mounts: number;
}

function devicesOf(id: string): Devices {
  const processes = sandboxProcesses(id);
  const pidOf = (role: string) => processes.find((one) => one.role === role)!.pid;
  const qemu = argumentsOf(pidOf("qemu"));
  const images = (pid: number | "self") =>
    Deno.readTextFileSync(`/proc/${pid}/mountinfo`).split("\n")
      .filter((line) => / - (erofs|overlay) /.test(line)).length;
  return {
    layerDisk: qemu.some((argument) => argument.includes("serial=layers")),
    virtiofsd: processes.some(({ role }) => role === "virtiofsd"),
    mounts: images(pidOf("shim")) - images("self"),
  };
}

const WAYS: readonly {
  readonly name: string;
  readonly snapshotter: Snapshotter;
  readonly flags: readonly string[];
  readonly devices: Devices;
}[] = [
  {
    name: "EROFS layers are one disk, and without a volume there is no virtiofsd",
    snapshotter: "erofs",
    flags: [],
    devices: { layerDisk: true, virtiofsd: false, mounts: 0 },
  },
  {
    name: "EROFS layers are files that the guest mounts, on request",
    snapshotter: "erofs",
    flags: ["--annotation", "io.qemubox.layers=files"],
    devices: { layerDisk: false, virtiofsd: true, mounts: 0 },
  },
  {
    name: "EROFS layers are a disk beside a volume",
    snapshotter: "erofs",
    flags: ["--mount", "type=bind,src=/run/containerd,dst=/data,options=rbind:ro"],
    devices: { layerDisk: true, virtiofsd: true, mounts: 0 },
  },
  {
    name: "another snapshotter's layers are mounted on the host",
    snapshotter: "overlayfs",
    flags: ["--annotation", "io.qemubox.layers=disk"],
    devices: { layerDisk: false, virtiofsd: true, mounts: 1 },
  },
];

for (const { name, snapshotter, flags, devices } of WAYS) {
  e2e(name, async (bench) => {
    const id = bench.newId();
    const script =
      "cat /layers/top; cat /layers/* | wc -l; echo new > /layers/new; echo ok; read _";
    await using client = new Client(
      runArguments(id, ["sh", "-c", script], {
        snapshotter,
        image: LAYERS,
        flags: ["--rm", ...flags],
      }),
      { input: true },
    );
    await client.line("ok");
    assert.deepEqual(devicesOf(id), devices);
    await client.write("go on\n");
    const { stdout, stderr } = await client.ended;
    const files = UPPER_LAYERS - Math.floor(UPPER_LAYERS / 5) + 1;
    assert.deepEqual([stdout, stderr], [`${UPPER_LAYERS}\n${files}\nok\n`, ""]);
  });
}

e2e("two VMs of an image read the same files, which the host caches once", async (bench) => {
  const clients = [bench.newId(), bench.newId()].map((id) => ({
    id,
    client: new Client(
      runArguments(id, ["sh", "-c", "echo ok; read _"], {
        ...{ snapshotter: "erofs", image: LAYERS, flags: ["--rm"] },
      }),
      { input: true },
    ),
  }));
  try {
    const found: string[][] = [];
    for (const { id, client } of clients) {
      await client.line("ok");
      const pid = qemuOf(id);
      found.push(layersOpenIn(pid));
    }
    const [one, other] = found;
    assert.equal(one!.length, UPPER_LAYERS + 1, one!.join("\n"));
    assert.deepEqual(one, other);
    for (const { client } of clients) {
      await client.write("go on\n");
      await client.ended;
    }
  } finally {
    for (const { client } of clients) await client[Symbol.asyncDispose]();
  }
});

/** Returns a process's open images, by device and inode; none may bypass the page cache. */
function layersOpenIn(pid: number): string[] {
  const direct = 0o40000;
  const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    const path = `/proc/${pid}/fd/${name}`;
    if (!Deno.readLinkSync(path).endsWith("/layer.erofs")) return [];
    const info = Deno.readTextFileSync(`/proc/${pid}/fdinfo/${name}`);
    const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(info)![1]!, 8);
    assert.equal(flags & direct, 0);
    const { dev, ino } = Deno.statSync(path);
    return [`${dev} ${ino}`];
  });
  // QEMU keeps the descriptor that it was given, and a duplicate.
  return [...new Set(open)].toSorted();
}

const HUNDRED = "docker.io/library/hundred:latest";
const COUNT = 100;

e2e("a hundred layers with whiteouts and opaque directories work, by both ways", async (bench) => {
  const archive = Deno.makeTempFileSync({ prefix: "e2e-hundred-" });
  const erofs = ["--snapshotter", "erofs"];
  try {
    Deno.writeFileSync(archive, ociArchive([await hundredLayers()]));
    await ctrOk("images", "import", "--local", ...erofs, archive);
    const script = `cd /layers; cat top; ls | sort -n | tr '\\n' ' '; echo
      cat [0-9]* | sort -n | uniq | wc -l; ls -A /opaque; cat /opaque/*; ls -A /emptied | wc -l`;
    const kept = Array.from({ length: COUNT }, (_, index) => index + 1)
      .filter((layer) => layer % 5 !== 4);
    const expected = [
      ...[`${COUNT}`, `top ${kept.join(" ")} `, `${kept.length}`],
      // The last opaque directory is in layer 90: it hides lower layers, and not upper ones.
      ...Array.from({ length: COUNT - 90 + 1 }, (_, index) => `${90 + index}`).toSorted(),
      ...Array.from({ length: COUNT - 90 + 1 }, (_, index) => `of ${90 + index}`).toSorted(),
      ...["0", "done", ""],
    ];
    for (const way of ["disk", "files"]) {
      const flags = ["--rm", "--annotation", `io.qemubox.layers=${way}`];
      const id = bench.newId();
      await using client = new Client(
        runArguments(id, ["sh", "-c", `${script}; echo done; read _`], {
          ...{ snapshotter: "erofs", image: HUNDRED, flags },
        }),
        { input: true },
      );
      await client.line("done");
      const pid = qemuOf(id);
      const devices = argumentsOf(pid).flatMap((one) =>
        /^virtio-blk-device,.*serial=([a-z]+)/.exec(one)?.[1] ?? []
      );
      assert.deepEqual(devices, ["root", ...(way === "disk" ? ["layers"] : []), "writable"]);
      await client.write("go on\n");
      const { stdout, stderr } = await client.ended;
      assert.deepEqual([stdout.split("\n"), stderr], [expected, ""], way);
    }
  } finally {
    Deno.removeSync(archive);
    await ctr("images", "rm", "--sync", HUNDRED);
  }
});

/** Returns layers: layer N adds /layers/N and /opaque/N; some hide what is below them. */
async function hundredLayers(): Promise<ImageRecipe> {
  const busybox = Deno.readFileSync("/usr/bin/busybox");
  const list = await new Deno.Command("/usr/bin/busybox", { args: ["--list"] }).output();
  const applets = new TextDecoder().decode(list.stdout).trim().split("\n");
  const [{ layers: [base], config }] = recipes(busybox, applets) as [ImageRecipe];
  const file = (path: string, text: string): TarEntry => ({
    path,
    mode: 0o644,
    content: new TextEncoder().encode(text),
  });
  const folder = (path: string): TarEntry => ({ path, folder: true, mode: 0o755 });
  const upper = Array.from({ length: COUNT - 1 }, (_, index) => index + 2).map((layer) => [
    ...[folder("layers"), folder("opaque"), folder("emptied")],
    file(`layers/${layer}`, `${layer}\n`),
    file("layers/top", `${layer}\n`),
    ...(layer % 5 === 0 ? [file(`layers/.wh.${layer - 1}`, "")] : []),
    ...(layer % 30 === 0 ? [file("opaque/.wh..wh..opq", "")] : []),
    file(`opaque/${layer}`, `of ${layer}\n`),
    layer === COUNT ? file("emptied/.wh..wh..opq", "") : file(`emptied/${layer}`, ""),
  ]);
  const first = [...base!, folder("layers"), file("layers/1", "1\n")];
  return { name: HUNDRED, layers: [first, ...upper], config };
}
