/** What a container writes stays in its VM: neither the host nor the image is changed by it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { argumentsOf, shimOf } from "../lib/sandbox_processes.ts";
import { e2e, SNAPSHOT_FOLDERS, withBoth } from "../lib/testbed.ts";

/** Everything that containerd and we write, and that a container could reach. */
const SEARCHED: readonly string[] = ["/var/lib/containerd", "/var/lib/qemubox", "/run", "/tmp"];

e2e("what a container writes is neither on the host nor in the image", async (bench) => {
  await withBoth(async (snapshotter) => {
    const folder = SNAPSHOT_FOLDERS[snapshotter];
    const layers = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
    const image = fingerprint(layers);
    const id = bench.newId();
    // In two parts: nothing but the container's own writing puts them together.
    const parts = [crypto.randomUUID(), crypto.randomUUID()];
    const secret = parts.join("");
    const script = `name=${parts[0]}; name=\${name}${parts[1]}
      mkdir /$name && echo $name > /$name/$name && echo $name >> /etc/passwd
      echo $name > /tmp/$name && echo $name > /dev/shm/$name
      rm /bin/touch && mv /etc/group /etc/moved && chmod 777 /etc/shadow && sync
      cat /$name/$name /tmp/$name | uniq -c
      tail -1 /etc/passwd; ls /bin/touch 2>&1; ls -l /etc/shadow | cut -c1-10; ls /etc/moved
      echo written; read _`;
    await using client = new Client(
      runArguments(id, ["sh", "-c", script], { snapshotter, flags: ["--rm"] }),
      { input: true },
    );
    await client.line("written");

    // EROFS layers are a disk of the VM, and nothing is shared with it.
    const shared = sharedFolder(shimOf(id));
    assert.equal(shared === null, snapshotter === "erofs");
    if (shared !== null) {
      // The search finds what is there to be found: a file of the image, by name and by what it says.
      assert.notDeepEqual(await search(shared, "busybox"), []);
      assert.notDeepEqual(await search(shared, "nobody:x:65534"), []);
    }
    for (const place of shared === null ? SEARCHED : [...SEARCHED, shared]) {
      assert.deepEqual(await search(place, secret), [], `in ${place}`);
    }

    await client.write("go on\n");
    const { code, stdout, stderr } = await client.ended;
    assert.equal(stderr, "");
    assert.deepEqual(stdout.split("\n"), [
      `      2 ${secret}`,
      secret,
      "ls: /bin/touch: No such file or directory",
      "-rwxrwxrwx",
      "/etc/moved",
      "written",
      "",
    ]);
    assert.equal(code, 0);
    for (const place of SEARCHED) assert.deepEqual(await search(place, secret), []);

    const look = `ls -d /????????-* /tmp/* 2>/dev/null
      tail -1 /etc/passwd; ls /bin/touch; ls -l /etc/shadow | cut -c1-10; ls /etc/moved 2>&1`;
    const second = await ctr(
      ...runArguments(bench.newId(), ["sh", "-c", look], { snapshotter, flags: ["--rm"] }),
    );
    assert.deepEqual(second.stdout.split("\n"), [
      "nobody:x:65534:65534:nobody:/home:/bin/false",
      "/bin/touch",
      "-rw-r-----",
      "ls: /etc/moved: No such file or directory",
      "",
    ]);
    assert.deepEqual(fingerprint(layers), image);
  });
});

/** What virtiofsd shows to a shim's VM, as seen in the shim's mount namespace; null: there is none. */
function sharedFolder(shim: number): string | null {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!Deno.readTextFileSync(`/proc/${name}/status`).includes(`PPid:\t${shim}\n`)) continue;
      const args = argumentsOf(Number(name));
      const at = args.findIndex((arg) => arg.startsWith("--shared-dir"));
      if (at < 0) continue;
      return `/proc/${shim}/root${args[at]!.split("=")[1] ?? args[at + 1]!}`;
    } catch {
      // It has just ended.
    }
  }
  return null;
}

/** Paths of files below a folder that are called so, or hold it. */
async function search(folder: string, text: string): Promise<string[]> {
  const find = new Deno.Command("find", { args: [`${folder}/`, "-name", `*${text}*`] }).output();
  // Not as text: a hole of gigabytes would be one line, read into memory.
  const grep = new Deno.Command("grep", {
    args: ["--recursive", "--files-with-matches", "--no-messages", text, `${folder}/`],
  }).output();
  const outputs = (await Promise.all([find, grep])).map(({ stdout }) =>
    new TextDecoder().decode(stdout)
  );
  return outputs.join("").split("\n").filter((line) => line !== "");
}

/** Everything that is in some folders: names, kinds, modes, owners, times, contents. */
function fingerprint(folders: readonly string[]): Map<string, string> {
  const files = new Map<string, string>();
  const add = (path: string) => {
    const { isFile, isDirectory, isSymlink, mode, uid, gid, mtime, rdev } = Deno.lstatSync(path);
    const content = isFile
      ? createHash("sha256").update(Deno.readFileSync(path)).digest("hex")
      : isSymlink
      ? Deno.readLinkSync(path)
      : rdev;
    files.set(path, [mode, uid, gid, mtime?.getTime(), content].join(" "));
    if (!isDirectory) return;
    for (const { name } of Deno.readDirSync(path)) add(`${path}/${name}`);
  };
  folders.forEach(add);
  return files;
}
