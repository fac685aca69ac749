/** Volumes: files and folders of the host that a container has mounted, and what cannot be. */

import assert from "node:assert/strict";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e, withBoth } from "../lib/testbed.ts";

/** A folder of the host, gone with the test. */
class HostFolder implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "e2e-volume-" });

  write(name: string, text: string): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
    return path;
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.path}/${name}`);
  }

  names(name = ""): string[] {
    return [...Deno.readDirSync(`${this.path}/${name}`)].map(({ name }) => name).toSorted();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

function bind(source: string, destination: string, options: string): string[] {
  return ["--mount", `type=bind,src=${source},dst=${destination},options=${options}`];
}

e2e("folders and single files, to be read and to be written", async (bench) => {
  await withBoth(async (snapshotter) => {
    using host = new HostFolder();
    host.write("rw/deep/old", "old\n");
    host.write("ro/file", "read me\n");
    const single = host.write("secret/single", "single\n");
    host.write("secret/sibling", "nobody shall see this\n");
    const fixed = host.write("secret/fixed", "fixed\n");
    await Deno.chmod(`${host.path}/rw`, 0o777);
    const script = `cat /rw/deep/old /ro/file /single /fixed
      echo new > /rw/deep/new && rm /rw/deep/old && mkdir /rw/made && ln -s /etc/passwd /rw/link
      mv /rw/deep/new /rw/deep/moved && chmod 640 /rw/deep/moved && chown 1000:33 /rw/deep/moved
      echo more >> /single
      for at in /ro/new /ro/file /fixed; do echo x >> $at; done
      ls / | grep -c sibling; find / -name sibling -not -path '/proc/*' 2>/dev/null
      dd if=/dev/zero of=/rw/big bs=1M count=8 conv=fsync 2>/dev/null; wc -c < /rw/big`;
    const flags = [
      "--rm",
      ...bind(`${host.path}/rw`, "/rw", "rbind:rw"),
      ...bind(`${host.path}/ro`, "/ro", "rbind:ro"),
      ...bind(single, "/single", "rbind:rw"),
      ...bind(fixed, "/fixed", "bind:ro"),
    ];
    const { stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["sh", "-c", script], { snapshotter, flags }),
    );
    assert.deepEqual(stdout.split("\n"), [
      ...["old", "read me", "single", "fixed", "0", `${8 << 20}`, ""],
    ]);
    assert.deepEqual(
      stderr.trimEnd().split("\n").map((line) =>
        /(\/\w+)+: Read-only file system$/.exec(line)?.[0]
      ),
      ["/ro/new", "/ro/file", "/fixed"].map((path) => `${path}: Read-only file system`),
      stderr,
    );
    assert.equal(host.read("secret/single"), "single\nmore\n");
    assert.equal(host.read("secret/fixed"), "fixed\n");
    assert.deepEqual(host.names("secret"), ["fixed", "sibling", "single"]);
    assert.deepEqual(host.names("ro"), ["file"]);
    assert.deepEqual(host.names("rw"), ["big", "deep", "link", "made"]);
    assert.deepEqual(host.names("rw/deep"), ["moved"]);
    const { mode, uid, gid } = Deno.statSync(`${host.path}/rw/deep/moved`);
    assert.deepEqual([mode! & 0o7777, uid, gid], [0o640, 1000, 33]);
    assert.equal(Deno.readLinkSync(`${host.path}/rw/link`), "/etc/passwd");
  });
});

e2e(
  "read-only is enforced on the host, with all that lies below, whatever the guest does",
  async (bench) => {
    using host = new HostFolder();
    host.write("ro/file", "file\n");
    Deno.mkdirSync(`${host.path}/ro/below`);
    Deno.mkdirSync(`${host.path}/rw`);
    const below = `${host.path}/ro/below`;
    await mount("-t", "tmpfs", "tmpfs", below);
    try {
      host.write("ro/below/inner", "inner\n");
      const id = bench.newId();
      // As root of the guest: it may mount whatever its kernel has, and make devices.
      const script =
        `mount -o remount,rw,bind /ro; cat /ro/below/inner; cat /plain/below/inner 2>/dev/null
      echo x > /ro/new; echo x > /ro/below/new
      mkdir /all && mount -t virtiofs qemubox /all
      echo x > /all/new
      mknod /rw/disk b 1 0 && echo made; echo ready; read _`;
      const flags = [
        ...["--rm", "--privileged"],
        ...bind(`${host.path}/ro`, "/ro", "rbind:ro"),
        ...bind(`${host.path}/ro`, "/plain", "bind:ro"),
        ...bind(`${host.path}/rw`, "/rw", "rbind:rw"),
      ];
      await using client = new Client(
        runArguments(id, ["sh", "-c", script], { flags, snapshotter: "erofs" }),
        { input: true },
      );
      await client.line("ready");
      // Of its two processes the one in its own namespaces.
      const mounts = sandboxProcesses(id).filter(({ role }) => role === "virtiofsd")
        .map(({ pid }) => Deno.readTextFileSync(`/proc/${pid}/mountinfo`))
        .find((text) => text.includes(" /volume-0 "))!.split("\n");
      const flagsOf = (target: string) =>
        mounts.find((line) => line.split(" ")[4] === target)?.split(" ")[5]?.split(",") ?? [];
      assert(flagsOf("/").includes("ro"), mounts.join("\n"));
      assert(flagsOf("/volume-0/below").includes("ro"));
      for (const name of ["/volume-0", "/volume-1", "/volume-2"]) {
        assert(flagsOf(name).includes("nodev"), name);
        assert.equal(flagsOf(name).includes("ro"), name !== "/volume-2", name);
      }
      await client.write("go on\n");
      const { stdout, stderr } = await client.ended;
      assert.deepEqual(stdout.split("\n"), [
        ...["inner", "made", "ready", ""],
      ], `${stdout}${stderr}`);
      assert.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
      assert.deepEqual(host.names("ro"), ["below", "file"]);
      assert.deepEqual(host.names("ro/below"), ["inner"]);
    } finally {
      await umount(below);
    }
  },
);

e2e("secrets that are replaced by swapping a symbolic link are seen", async (bench) => {
  await withBoth(async (snapshotter) => {
    using host = new HostFolder();
    host.write("..v1/key", "one\n");
    Deno.symlinkSync("..v1", `${host.path}/..data`);
    Deno.symlinkSync("..data/key", `${host.path}/key`);
    const script = `cat /secret/key; read _
      until [ "$(cat /secret/key)" = two ]; do usleep 50000; done; cat /secret/key; ls -A /secret`;
    const flags = ["--rm", ...bind(host.path, "/secret", "rbind:ro")];
    await using client = new Client(
      runArguments(bench.newId(), ["sh", "-c", script], { snapshotter, flags }),
      { input: true },
    );
    await client.line("one");
    host.write("..v2/key", "two\n");
    Deno.symlinkSync("..v2", `${host.path}/..data_tmp`);
    Deno.renameSync(`${host.path}/..data_tmp`, `${host.path}/..data`);
    Deno.removeSync(`${host.path}/..v1`, { recursive: true });
    await client.write("go on\n");
    const { stdout, stderr } = await client.ended;
    assert.deepEqual([stdout, stderr], ["one\ntwo\n..data\n..v2\nkey\n", ""]);
  });
});

e2e("a walk over many files takes no descriptor of virtiofsd for each", async (bench) => {
  // On a tmpfs, which has file handles.
  const folder = Deno.makeTempDirSync({ dir: "/run", prefix: "e2e-walk-" });
  try {
    const files = 5_000;
    for (let file = 0; file < files; file++) Deno.writeTextFileSync(`${folder}/${file}`, "");
    const id = bench.newId();
    const script = "find /walk -type f -size -1 | wc -l; echo walked; read _";
    await using client = new Client(
      runArguments(id, ["sh", "-c", script], {
        ...{ snapshotter: "erofs", flags: ["--rm", ...bind(folder, "/walk", "rbind:ro")] },
      }),
      { input: true },
    );
    await client.line("walked");
    const open = sandboxProcesses(id).filter(({ role }) => role === "virtiofsd")
      .map(({ pid }) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length);
    assert.equal(open.length, 2);
    assert(Math.max(...open) < 500, `${open} descriptors are open`);
    await client.write("go on\n");
    const { stdout, stderr } = await client.ended;
    assert.deepEqual([stdout, stderr], [`${files}\nwalked\n`, ""]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

e2e("names of all kinds, and links that point out of the share", async (bench) => {
  using host = new HostFolder();
  const long = "n".repeat(255);
  host.write(`a folder, with "all":of\\it\n/${long}`, "long\n");
  host.write("outside/host-only", "the host's\n");
  Deno.mkdirSync(`${host.path}/in`);
  Deno.symlinkSync(`${host.path}/outside/host-only`, `${host.path}/in/absolute`);
  Deno.symlinkSync("../outside/host-only", `${host.path}/in/relative`);
  Deno.symlinkSync("/etc/passwd", `${host.path}/in/passwd`);
  Deno.symlinkSync("in", `${host.path}/to-in`);
  Deno.renameSync(`${host.path}/a folder, with "all":of\\it\n`, `${host.path}/in/line\nbreak`);
  const script = `cat "/in/line
break/${long}"; cat /in/absolute; cat /in/relative; tail -1 /in/passwd
    cat /in/../../../../../../outside/host-only; ls -d /etc/up 2>&1; ls /up`;
  const flags = [
    "--rm",
    // A source that is a link itself is what it points to, as the administrator wants it.
    ...bind(`${host.path}/to-in`, "/in", "rbind:ro"),
    // A destination leads nowhere but into the container.
    ...bind(`${host.path}/outside`, "/etc/../../../../up", "rbind:ro"),
  ];
  const { stdout, stderr } = await ctr(
    ...runArguments(bench.newId(), ["sh", "-c", script], { flags, snapshotter: "erofs" }),
  );
  assert.deepEqual(stdout.split("\n"), [
    "long",
    "nobody:x:65534:65534:nobody:/home:/bin/false", // the container's own
    "ls: /etc/up: No such file or directory",
    "host-only",
    "",
  ]);
  assert.equal(stderr.match(/No such file or directory/g)?.length, 3, stderr);
});

e2e("tmpfs and /dev/shm have their size, sockets stay files", async (bench) => {
  using host = new HostFolder();
  using _ = Deno.listen({ transport: "unix", path: `${host.path}/socket` });
  const size = (path: string) => `df -k ${path} | tail -1 | awk '{print $1, $2}'`;
  const script = `${size("/scratch")}; ${size("/dev/shm")}
    dd if=/dev/zero of=/scratch/f bs=1M count=3 2>&1 | grep -o 'No space left on device'
    ls -l /sockets/socket | cut -c1; echo | nc local:/sockets/socket 2>&1`;
  const flags = [
    ...["--rm", "--mount", "type=tmpfs,src=tmpfs,dst=/scratch,options=size=2m:nosuid"],
    ...bind(host.path, "/sockets", "rbind:rw"),
  ];
  const { stdout } = await ctr(
    ...runArguments(bench.newId(), ["sh", "-c", script], { flags, snapshotter: "erofs" }),
  );
  const lines = stdout.trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 4), [
    ...["tmpfs 2048", "shm 65536", "No space left on device", "s"],
  ]);
});

e2e("mounts and devices that a VM cannot have are refused by name", async (bench) => {
  using host = new HostFolder();
  using _ = Deno.listen({ transport: "unix", path: `${host.path}/socket` });
  const refused = async (...flags: string[]) => {
    const { code, stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["true"], { flags: ["--rm", ...flags] }),
    );
    assert.deepEqual([code, stdout], [1, ""]);
    return stderr.trimEnd();
  };
  const failed = "ctr: failed to create shim task: ";
  assert.equal(
    await refused(...bind(`${host.path}/socket`, "/s", "bind")),
    `${failed}mount of ${host.path}/socket at /s: a unix socket of the host cannot be reached from inside a VM`,
  );
  assert.match(
    await refused(...bind(host.path, "/s", "rbind:rslave")),
    /at \/s: mounts do not propagate between the host and a VM \(option rslave\); use rprivate$/,
  );
  assert.match(
    await refused("--mount", "type=hugetlbfs,src=none,dst=/huge"),
    /at \/huge: hugetlbfs: the VM has no huge pages to give away; use tmpfs$/,
  );
  assert.match(
    await refused("--device", "/dev/loop-control"),
    /linux\.devices: "\/dev\/loop-control" \(c 10:237\) is a device of the host/,
  );
});

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

async function umount(target: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("umount", { args: [target] }).output();
  assert(success, new TextDecoder().decode(stderr));
}
