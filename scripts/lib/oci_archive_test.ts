import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { ociArchive } from "./oci_archive.ts";
import { type TarEntry, writeTar } from "./tar.ts";
import { recipes, UPPER_LAYERS } from "./test_images.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Reads the members of a tar archive, by name; checks the checksum of each header. */
function untar(archive: Uint8Array): Map<string, { type: string; mode: number; data: Uint8Array }> {
  const members = new Map();
  const field = (at: number, length: number) =>
    new TextDecoder().decode(archive.subarray(at, at + length)).replace(/[\0 ].*$/s, "");
  for (let at = 0; archive[at] !== 0;) {
    const block = archive.slice(at, at + 512);
    block.fill(32, 148, 156);
    assert.equal(parseInt(field(at + 148, 8), 8), block.reduce((sum, byte) => sum + byte, 0));
    const size = parseInt(field(at + 124, 12), 8);
    members.set(field(at, 100), {
      type: field(at + 156, 1),
      mode: parseInt(field(at + 100, 8), 8),
      data: archive.subarray(at + 512, at + 512 + size),
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}

Deno.test("writeTar writes files, directories and links", () => {
  const members = untar(writeTar([
    { path: "d", folder: true, mode: 0o1777 },
    { path: "d/f", mode: 0o640, content: bytes("x".repeat(513)) },
    { path: "d/l", target: "/bin/busybox" },
  ]));
  assert.deepEqual([...members.keys()], ["d/", "d/f", "d/l"]);
  assert.equal(members.get("d/")!.mode, 0o1777);
  assert.equal(members.get("d/f")!.data.length, 513);
  assert.equal(members.get("d/l")!.type, "2");
  assert.throws(() => writeTar([{ path: "x".repeat(101), target: "" }]), RangeError);
});

Deno.test("GNU tar reads the archives of writeTar", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(
      `${directory}/a.tar`,
      writeTar([{ path: "f", mode: 0o711, content: bytes("hi") }]),
    );
    const { code, stderr } = await new Deno.Command("tar", {
      args: ["-xf", "a.tar"],
      cwd: directory,
    })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(await Deno.readTextFile(`${directory}/f`), "hi");
    assert.equal((await Deno.stat(`${directory}/f`)).mode! & 0o777, 0o711);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("every descriptor of the archive has a blob with its digest and size", () => {
  const archive = ociArchive(recipes(bytes("busybox"), ["sh", "busybox"]));
  const members = untar(archive);
  const parse = (path: string) => JSON.parse(new TextDecoder().decode(members.get(path)!.data));
  const blob = ({ digest, size }: { digest: string; size: number }) => {
    const { data } = members.get(`blobs/${digest.replace(":", "/")}`)!;
    assert.equal(data.length, size);
    assert.equal(`sha256:${createHash("sha256").update(data).digest("hex")}`, digest);
    return data;
  };
  const { manifests } = parse("index.json");
  assert.deepEqual(
    manifests.map((m: { annotations: Record<string, string> }) => Object.values(m.annotations)[0]),
    ["busybox", "layers", "pause"].map((name) => `docker.io/library/${name}:latest`),
  );
  for (const [index, descriptor] of manifests.entries()) {
    const manifest = JSON.parse(new TextDecoder().decode(blob(descriptor)));
    const config = JSON.parse(new TextDecoder().decode(blob(manifest.config)));
    const diffIds = manifest.layers.map((layer: { digest: string; size: number }) =>
      `sha256:${createHash("sha256").update(gunzipSync(blob(layer))).digest("hex")}`
    );
    assert.deepEqual(config.rootfs.diff_ids, diffIds);
    assert.equal(diffIds.length, index === 1 ? UPPER_LAYERS + 1 : 1);
  }
  assert.deepEqual(
    ociArchive(recipes(bytes("busybox"), ["sh", "busybox"])),
    archive,
  );
});

Deno.test("the base image has applets as links, and directories before their members", () => {
  const [base] = recipes(bytes("busybox"), ["sh", "env", "busybox"]);
  const seen = new Set<string>();
  for (const entry of base!.layers[0]! as TarEntry[]) {
    const parent = entry.path.split("/").slice(0, -1).join("/");
    assert.ok(parent === "" || seen.has(parent), entry.path);
    assert.ok(!seen.has(entry.path), `${entry.path} twice`);
    seen.add(entry.path);
  }
  for (const path of ["bin/sh", "usr/bin/env", "bin/busybox", "tmp", "etc/passwd"]) {
    assert.ok(seen.has(path), path);
  }
});
