/** Volumes: files and directories of the host, and mounts that a VM cannot have. */

import assert from "node:assert/strict";
import { FULL } from "../lib/environment.ts";
import { removeContainer } from "../lib/containers.ts";
import { Client, ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e, logLines, withBoth } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

/** A directory of the host for one test. */
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

e2e("directories and single files can be read-only or writable", async (bench) => {
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
  "read-only is enforced on the host, with everything below, whatever the guest does",
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
      // Root of the guest may mount whatever its kernel has, and make devices.
      const script =
        `mount -o remount,rw,bind /ro; cat /ro/below/inner; cat /plain/below/inner 2>/dev/null
      echo x > /ro/new; echo x > /ro/below/new
      mkdir /all && mount -t virtiofs qemubox /all
      echo x > /all/new
      mknod /rw/disk b 1 0 || echo none made; echo ready; read _`;
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
      // The one of virtiofsd's two processes in its own namespaces.
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
        ...["inner", "none made", "ready", ""],
      ], `${stdout}${stderr}`);
      assert.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
      assert.deepEqual(host.names("ro"), ["below", "file"]);
      assert.deepEqual(host.names("ro/below"), ["inner"]);
    } finally {
      await umount(below);
    }
  },
);

e2e("secrets that are replaced by swapping a symbolic link become visible", async (bench) => {
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

e2e("changes on the host show: content at the next open, names within a second", async (bench) => {
  using host = new HostFolder();
  host.write("file", "one\n");
  const now = "read now _ </proc/uptime; echo $now";
  const script = `cat /v/file; read _; cat /v/file; ${now}
  until [ -e /v/new ] && [ ! -e /v/file ]; do usleep 20000; done; ${now}`;
  await using client = new Client(
    runArguments(bench.newId(), ["sh", "-c", script], {
      ...{ snapshotter: "erofs", flags: ["--rm", ...bind(host.path, "/v", "rbind:ro")] },
    }),
    { input: true },
  );
  await client.line("one");
  // In place and of the same size: only its time differs.
  Deno.writeTextFileSync(`${host.path}/file`, "two\n");
  await client.write("go on\n");
  await client.line("two");
  Deno.renameSync(`${host.path}/file`, `${host.path}/new`);
  const { stdout, stderr } = await client.ended;
  const [, , from, to] = stdout.split("\n").map(Number);
  assert.equal(stderr, "");
  // A second, plus delays of the guest on a busy host.
  assert(to! - from! < 3, stdout);
});

e2e(
  "virtiofsd is alone in its own namespaces, with the privileges that it needs",
  async (bench) => {
    using host = new HostFolder();
    const id = bench.newId();
    const volumes = ["/one", "/two"].flatMap((at) => bind(host.path, at, "rbind:rw"));
    await using client = new Client(
      runArguments(id, ["sh", "-c", "echo ok; read _"], {
        ...{ snapshotter: "erofs", flags: ["--rm", ...volumes] },
      }),
      { input: true },
    );
    await client.line("ok");
    const daemons = sandboxProcesses(id).filter(({ role }) => role === "virtiofsd");
    // One serves, and one waits for its exit.
    assert.equal(daemons.length, 2);
    const { pid } = daemons.find(({ parent }) => daemons.some((one) => one.pid === parent))!;
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)![1]!;
    const capabilities = BigInt(`0x${field("CapEff")}`);
    const held = CAPABILITIES.filter((_, index) => capabilities >> BigInt(index) & 1n);
    assert.deepEqual(held, [
      ...["chown", "dac_override", "dac_read_search", "fowner", "setgid", "setuid"],
    ]);
    assert.equal(capabilities >> BigInt(CAPABILITIES.length), 0n);
    assert.equal(field("Seccomp"), "2");
    for (const kind of ["mnt", "pid", "net"]) {
      const [its, ours] = [pid, "self"].map((who) => Deno.readLinkSync(`/proc/${who}/ns/${kind}`));
      assert.notEqual(its, ours, kind);
    }
    // It can reach each volume and what `rbind` includes, and nothing else.
    const roots = Deno.readTextFileSync(`/proc/${pid}/mountinfo`).trim().split("\n")
      .map((line) => line.split(" ")[4]).toSorted();
    assert.deepEqual(roots, ["/", "/volume-0", "/volume-1"]);
    await client.write("go on\n");
    assert.equal((await client.ended).code, 0);
  },
);

/** Names of capabilities by number (linux/capability.h). */
const CAPABILITIES: readonly string[] = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid"],
  ...["setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw"],
  ...["ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct"],
  ...["sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod"],
  ...["lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog"],
  ...["wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore"],
];

const FILES = FULL ? 1_000_000 : 5_000;
/** Limit of virtiofsd's descriptors, far below the number of files. */
const DESCRIPTORS = 300;

e2e(`a walk over ${FILES} files needs no descriptor of virtiofsd for each`, async (bench) => {
  // On a tmpfs, which supports file handles.
  const folder = Deno.makeTempDirSync({ dir: "/run", prefix: "e2e-walk-" });
  using result = new HostFolder();
  const id = bench.newId();
  try {
    makeFiles(folder, FILES);
    const script = `echo up > /result/up; until [ -e /result/go ]; do usleep 100000; done
      find /walk -type f -size -1 | wc -l > /result/count; echo $? > /result/end`;
    const volumes = [
      ...bind(folder, "/walk", "rbind:ro"),
      ...bind(result.path, "/result", "rbind:rw"),
    ];
    const flags = ["-d", ...volumes];
    await ctrOk(...runArguments(id, ["sh", "-c", script], { snapshotter: "erofs", flags }));
    const isThere = (name: string) => () => result.names().includes(name) || null;
    await until("start of the container", patience(30_000), isThere("up"));
    const daemons = sandboxProcesses(id).filter(({ role }) => role === "virtiofsd");
    for (const { pid } of daemons) {
      await command("prlimit", `--pid=${pid}`, `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`);
    }
    result.write("go", "");
    await until("end of the walk", patience(FULL ? 1_800_000 : 60_000), isThere("end"));
    assert.equal(result.read("count"), `${FILES}\n`, logLines(id).join("\n"));
    const hasEnded = async () => (await task(id))?.status === "STOPPED" || null;
    await until("exit of the container", patience(30_000), hasEnded);
    await removeContainer(id);
  } finally {
    await command("rm", "-r", folder);
  }
});

/** Makes empty files, a thousand per directory. */
function makeFiles(folder: string, count: number): void {
  for (let file = 0; file < count; file++) {
    const parent = `${folder}/${Math.floor(file / 1_000)}`;
    if (file % 1_000 === 0) Deno.mkdirSync(parent);
    Deno.openSync(`${parent}/${file}`, { write: true, createNew: true }).close();
  }
}

e2e("names of all kinds work, and links do not lead out of the share", async (bench) => {
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
    // A source that is a link is followed, as the administrator intends.
    ...bind(`${host.path}/to-in`, "/in", "rbind:ro"),
    // A destination cannot lead out of the container.
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

e2e("tmpfs and /dev/shm have their size, and sockets stay files", async (bench) => {
  using host = new HostFolder();
  using _ = Deno.listen({ transport: "unix", path: `${host.path}/socket` });
  const size = (path: string) => `df -k ${path} | tail -1 | awk '{print $1, $2}'`;
  const script = `${size("/scratch")}; ${size("/dev/shm")}; ${size("/shm")}
    dd if=/dev/zero of=/scratch/f bs=1M count=3 2>&1 | grep -o 'No space left on device'
    ls -l /sockets/socket | cut -c1; echo | nc local:/sockets/socket 2>&1`;
  const flags = [
    ...["--rm", "--mount", "type=tmpfs,src=tmpfs,dst=/scratch,options=size=2m:nosuid"],
    ...["--mount", "type=tmpfs,src=shm,dst=/shm,options=size=20m"],
    ...bind(host.path, "/sockets", "rbind:rw"),
  ];
  const { stdout } = await ctr(
    ...runArguments(bench.newId(), ["sh", "-c", script], { flags, snapshotter: "erofs" }),
  );
  const lines = stdout.trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 5), [
    ...["tmpfs 2048", "shm 65536", "shm 20480", "No space left on device", "s"],
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
    `${failed}mount of ${host.path}/socket at /s: a Unix socket of the host cannot be reached from inside a VM`,
  );
  assert.match(
    await refused(...bind(host.path, "/s", "rbind:rslave")),
    /at \/s: mounts do not propagate between the host and a VM \(option rslave\): use rprivate$/,
  );
  assert.match(
    await refused("--mount", "type=hugetlbfs,src=none,dst=/huge"),
    /at \/huge: hugetlbfs: the VM has no huge pages to give away: use tmpfs$/,
  );
  assert.match(
    await refused("--device", "/dev/loop-control"),
    /linux\.devices: "\/dev\/loop-control" \(c 10:237\) is a device of the host/,
  );
});

const mount = (...args: string[]) => command("mount", ...args);
const umount = (target: string) => command("umount", target);

async function command(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}
