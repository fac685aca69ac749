/** Writes of a container stay in its VM: they change neither the host nor the image. */

import assert from "node:assert/strict";
import { sha256 } from "../lib/bytes.ts";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { argumentsOf, shimOf } from "../lib/sandbox_processes.ts";
import { e2e, SNAPSHOT_DIRECTORIES, withBoth } from "../lib/testbed.ts";

/** Directories that containerd and qemubox write to, and that a container could reach. */
const SEARCHED: readonly string[] = ["/var/lib/containerd", "/var/lib/qemubox", "/run", "/tmp"];

e2e("a container's writes are neither on the host nor in the image", async (bench) => {
  await withBoth(async (snapshotter) => {
    const folder = SNAPSHOT_DIRECTORIES[snapshotter];
    const layers = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
    const image = fingerprint(layers);
    const id = bench.newId();
    // In two parts, which only the container's own writes put together.
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
      // The search works: it finds a file of the image by its name and by its content.
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

/** Returns virtiofsd's shared directory in the shim's mount namespace, or null without one. */
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
      // It has just exited.
    }
  }
  return null;
}

/** Returns the paths of files below a directory whose name or content contains `text`. */
async function search(folder: string, text: string): Promise<string[]> {
  const find = new Deno.Command("find", { args: [`${folder}/`, "-name", `*${text}*`] }).output();
  // Without --text: it would read a hole of gigabytes into memory as one line.
  const grep = new Deno.Command("grep", {
    args: ["--recursive", "--files-with-matches", "--no-messages", text, `${folder}/`],
  }).output();
  const outputs = (await Promise.all([find, grep])).map(({ stdout }) =>
    new TextDecoder().decode(stdout)
  );
  return outputs.join("").split("\n").filter((line) => line !== "");
}

/** Describes everything in some directories: names, kinds, modes, owners, times, contents. */
function fingerprint(folders: readonly string[]): Map<string, string> {
  const files = new Map<string, string>();
  const add = (path: string) => {
    const { isFile, isDirectory, isSymlink, mode, uid, gid, mtime, rdev } = Deno.lstatSync(path);
    const content = isFile
      ? sha256(Deno.readFileSync(path))
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
