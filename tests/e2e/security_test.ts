/** Restrictions of a specification hold in the guest. */

import assert from "node:assert/strict";
import { ctr, runArguments } from "../lib/ctr.ts";
import { HOST_PROGRAMS, hostProgram } from "../lib/host_programs.ts";
import { e2e, withBoth } from "../lib/testbed.ts";

/** Runs `use` with a changed default specification of `ctr`; `ctr run --config` takes no image. */
async function withSpec(
  change: (spec: Spec) => void,
  use: (path: string) => Promise<void>,
  owner = 0,
): Promise<void> {
  const { stdout, success, stderr } = await new Deno.Command("ctr", {
    args: ["oci", "spec"],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const spec = JSON.parse(new TextDecoder().decode(stdout)) as Spec;
  change(spec);
  const path = Deno.makeTempFileSync({ prefix: "e2e-spec-" });
  const rootfs = Deno.makeTempDirSync({ prefix: "e2e-rootfs-" });
  try {
    for (const folder of ["bin", "dev", "proc", "sys", "tmp", "run", "masked", "etc"]) {
      Deno.mkdirSync(`${rootfs}/${folder}`);
    }
    Deno.writeTextFileSync(`${rootfs}/masked/file`, "nobody shall see this\n");
    Deno.writeTextFileSync(`${rootfs}/etc/masked`, "nor this\n");
    Deno.copyFileSync("/usr/bin/busybox", `${rootfs}/bin/busybox`);
    spec.root = { ...spec.root, path: rootfs };
    // Mount points for crun, and the owner that a user namespace needs.
    for (const name of ["hostname", "hosts"]) Deno.writeTextFileSync(`${rootfs}/etc/${name}`, "");
    if (owner !== 0) {
      const chown = new Deno.Command("chown", { args: ["-R", `${owner}:${owner}`, rootfs] });
      assert((await chown.output()).success);
    }
    Deno.writeTextFileSync(path, JSON.stringify(spec));
    await use(path);
  } finally {
    Deno.removeSync(path);
    Deno.removeSync(rootfs, { recursive: true });
  }
}

interface Spec {
  root?: { path: string; readonly?: boolean };
  process: Record<string, unknown>;
  linux: Record<string, unknown> & { namespaces: { type: string }[] };
}

const shell = (script: string) => ["/bin/busybox", "sh", "-c", script];

e2e(
  "paths, capabilities, limits, sysctls and no-new-privileges of a specification hold",
  async (bench) => {
    const script = `b=/bin/busybox
    $b cat /masked/file 2>&1; $b cat /etc/masked; $b ls /masked | $b wc -l
    echo x > /tmp/file; echo x > /etc/file
    $b grep -E '^(CapEff|CapBnd|NoNewPrivs|Groups)' /proc/self/status
    ulimit -n; $b cat /proc/sys/kernel/shmmax; $b id -u; $b id -g; umask`;
    await withSpec((spec) => {
      Object.assign(spec.process, {
        args: shell(script),
        cwd: "/",
        user: { uid: 1000, gid: 33, additionalGids: [44, 55], umask: 0o27 },
        noNewPrivileges: true,
        capabilities: {
          bounding: ["CAP_KILL"],
          effective: ["CAP_KILL"],
          permitted: ["CAP_KILL"],
          inheritable: ["CAP_KILL"],
          ambient: ["CAP_KILL"],
        },
        rlimits: [{ type: "RLIMIT_NOFILE", hard: 321, soft: 123 }],
        terminal: false,
      });
      Object.assign(spec.linux, {
        maskedPaths: ["/masked", "/etc/masked"],
        readonlyPaths: ["/tmp"],
        sysctl: { "kernel.shmmax": "123456" },
      });
      spec.root = { path: "", readonly: false };
    }, async (path) => {
      const { stdout, stderr, code } = await ctr(
        ...[
          "run",
          "--rm",
          "--runtime",
          "io.containerd.qemubox.v1",
          "--config",
          path,
          bench.newId(),
        ],
      );
      assert.deepEqual(stdout.split("\n"), [
        "cat: can't open '/masked/file': No such file or directory",
        "0",
        ...["Groups:\t44 55 ", "CapEff:\t0000000000000020", "CapBnd:\t0000000000000020"],
        ...["NoNewPrivs:\t1", "123", "123456", "1000", "33", "0027", ""],
      ], stderr);
      assert.match(stderr, /can't create \/tmp\/file: Read-only file system/);
      assert.match(stderr, /can't create \/etc\/file: Permission denied/);
      assert.equal(code, 0);
    });
  },
);

e2e("a user namespace of a specification is set up", async (bench) => {
  const script = `b=/bin/busybox; $b id -u; $b cat /proc/self/uid_map | $b tr -s ' '
    echo mine > /tmp/new && $b stat -c '%u %g' /tmp/new`;
  await withSpec((spec) => {
    Object.assign(spec.process, { args: shell(script), cwd: "/", terminal: false });
    spec.linux.namespaces.push({ type: "user" });
    Object.assign(spec.linux, {
      uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
      gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
    });
  }, async (path) => {
    const { stdout, stderr } = await ctr(
      ...["run", "--rm", "--runtime", "io.containerd.qemubox.v1", "--config", path, bench.newId()],
    );
    assert.deepEqual([stdout.split("\n"), stderr], [["0", " 0 100000 65536", "0 0", ""], ""]);
  }, 100_000);
});

e2e("ids with slashes, and other invalid ids, are refused", async () => {
  for (const id of ["../../etc", "a/b", "a\nb", "n".repeat(255), ".."]) {
    const { code, stdout, stderr } = await ctr(...runArguments(id, ["true"], { flags: ["--rm"] }));
    assert.equal(code, 1, id);
    assert.equal(stdout, "");
    assert.match(stderr, /identifier|invalid argument/);
  }
});

e2e("the default seccomp profile holds, and Landlock works under it", async (bench) => {
  // busybox has no Landlock, so the testbed's setpriv comes with its libraries from a volume.
  const restricted = `${hostProgram("setpriv")} --no-new-privs --landlock-access fs:make-reg`;
  await withBoth(async (snapshotter) => {
    const script = "unshare -r true 2>&1; grep ^Seccomp: /proc/self/status; " +
      `${restricted} sh -c 'echo x > /tmp/a' 2>&1; ${restricted} mkdir /tmp/b 2>&1; ls /tmp`;
    const { stdout } = await ctr(...runArguments(bench.newId(), ["sh", "-c", script], {
      snapshotter,
      flags: [
        ...["--rm", "--seccomp", "--user", "1000"],
        ...["--mount", HOST_PROGRAMS],
      ],
    }));
    assert.match(
      stdout,
      /^unshare: .*Operation not permitted\nSeccomp:\t2\n.*\/tmp\/a: Permission denied\nb\n$/,
    );
  });
});
