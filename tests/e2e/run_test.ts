/** `ctr run` of containers in their own microVMs. */

import assert from "node:assert/strict";
import { UPPER_LAYERS } from "../../scripts/lib/test_images.ts";
import { MOMENTS } from "../../shim/base/timeline.ts";
import { Client, ctr, LAYERS, runArguments, RUNTIME } from "../lib/ctr.ts";
import { e2e, logLines, withBoth } from "../lib/testbed.ts";

e2e("a container runs on our kernel, with its command's output and exit status", async (bench) => {
  const host = new TextDecoder().decode(
    (await new Deno.Command("uname", { args: ["-r"] }).output()).stdout,
  );
  await withBoth(async (snapshotter) => {
    const id = bench.newId();
    const script = `uname -r
      hostname
      pwd
      echo "FOO=$FOO"
      echo to stderr >&2
      echo reopened > /dev/stdout
      echo reopened > /dev/stderr
      exit 42`;
    const flags = ["--rm", "--env", "FOO=b a r", "--cwd", "/var/www"];
    const { code, stdout, stderr } = await ctr(
      ...runArguments(id, ["sh", "-c", script], { snapshotter, flags }),
    );
    const [kernel, ...rest] = stdout.split("\n");
    assert.match(kernel!, /^\d+\.\d+\S*-qemubox$/);
    assert.notEqual(kernel, host.trim());
    // Without --hostname, the host name is the container's id.
    assert.deepEqual(rest, [id, "/var/www", "FOO=b a r", "reopened", ""]);
    assert.equal(stderr, "to stderr\nreopened\n");
    assert.equal(code, 42);

    const lines = logLines(id).filter((line) => line.includes("boot timeline"));
    assert.equal(lines.length, 1, lines.join("\n"));
    const timeline = /boot timeline \(ms\): ([^"]*)"/.exec(lines[0]!)![1]!.split(", ");
    const moments = timeline.map((one) => /^(.*) (\d+)$/.exec(one)!);
    assert.deepEqual(moments.map(([, moment]) => moment), MOMENTS);
    const times = moments.map(([, , ms]) => Number(ms));
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.equal(times[0], 0);
  });
});

e2e("input of ctr run and its end arrive in the container", async (bench) => {
  await withBoth(async (snapshotter) => {
    const id = bench.newId();
    await using client = new Client(
      runArguments(id, ["cat"], { snapshotter, flags: ["--rm"] }),
      { input: true },
    );
    await client.write("hi\n");
    await client.endInput();
    const { code, stdout, stderr } = await client.ended;
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "hi\n", stderr: "" });
  });
});

e2e(
  "a user that is not root, seccomp, a read-only root, a mounted file and a host name work",
  async (bench) => {
    const file = await Deno.makeTempFile({ prefix: "e2e-mounted-" });
    try {
      await Deno.writeTextFile(file, "from the host\n");
      await Deno.chmod(file, 0o644);
      await withBoth(async (snapshotter) => {
        const id = bench.newId();
        const script = `id -u; id -g
        hostname
        grep ^Seccomp: /proc/self/status
        echo by its path > /dev/stdout
        echo by its path > /dev/stderr
        touch /tmp/file 2>&1
        cat /mounted/file
        echo changed >> /mounted/file
        echo memory > /dev/shm/file && cat /dev/shm/file`;
        const flags = ["--rm", "--user", "1000", "--seccomp", "--read-only"];
        const mount = `type=bind,src=${file},dst=/mounted/file,options=rbind:ro`;
        const { code, stdout, stderr } = await ctr(
          ...runArguments(id, ["sh", "-c", script], {
            snapshotter,
            flags: [...flags, "--hostname", "named.example", "--mount", mount],
          }),
        );
        assert.deepEqual(stdout.split("\n"), [
          "1000",
          "1000",
          "named.example",
          // A filter is in force: proc_pid_status(5).
          "Seccomp:\t2",
          "by its path",
          "touch: /tmp/file: Read-only file system",
          "from the host",
          "memory",
          "",
        ]);
        // The file is another user's and read-only; the kernel may report either.
        assert.match(
          stderr,
          /^by its path\nsh: .*\/mounted\/file: (Read-only file system|Permission denied)\n$/,
        );
        assert.equal(code, 0);
      });
      assert.equal(await Deno.readTextFile(file), "from the host\n");
    } finally {
      await Deno.remove(file);
    }
  },
);

e2e("an image of many layers has all of them in order", async (bench) => {
  const layers = Array.from({ length: UPPER_LAYERS }, (_, index) => index + 1);
  const kept = layers.filter((layer) => layer % 5 !== 4 || layer === UPPER_LAYERS);
  await withBoth(async (snapshotter) => {
    const id = bench.newId();
    const script = 'cd /layers; for file in *; do echo "$file: $(cat $file)"; done; ls -d /bin/sh';
    const { code, stdout, stderr } = await ctr(
      ...runArguments(id, ["sh", "-c", script], { snapshotter, image: LAYERS, flags: ["--rm"] }),
    );
    assert.equal(stderr, "");
    assert.deepEqual(
      stdout.trimEnd().split("\n").toSorted(),
      [...kept.map((n) => `${n}: layer ${n}`), `top: ${UPPER_LAYERS}`, "/bin/sh"].toSorted(),
    );
    assert.equal(code, 0);
  });
});

e2e("four containers at the same time are independent", async (bench) => {
  const clients = (["overlayfs", "erofs", "overlayfs", "erofs"] as const)
    .map((snapshotter, index) => {
      const id = bench.newId(`${index}`);
      const script = `read line; echo "$line, $(hostname)"; exit ${index + 1}`;
      const args = runArguments(id, ["sh", "-c", script], { snapshotter, flags: ["--rm"] });
      return { id, client: new Client(args, { input: true }) };
    });
  await Promise.all(clients.map(async ({ id, client }, index) => {
    await using _ = client;
    await client.write(`line ${index}\n`);
    await client.endInput();
    const { code, stdout, stderr } = await client.ended;
    assert.deepEqual({ code, stdout, stderr }, {
      code: index + 1,
      stdout: `line ${index}, ${id}\n`,
      stderr: "",
    });
  }));
});

e2e(
  "two namespaces may have containers of the same name, one of them with --rootfs",
  async (bench) => {
    const id = bench.newId();
    const folder = await Deno.makeTempDir({ prefix: "e2e-rootfs-" });
    try {
      for (const name of ["bin", "dev", "proc", "sys", "run"]) {
        await Deno.mkdir(
          `${folder}/${name}`,
        );
      }
      await Deno.copyFile("/usr/bin/busybox", `${folder}/bin/busybox`);
      await Deno.writeTextFile(`${folder}/here`, "a folder\n");
      const command = ["/bin/busybox", "sh", "-c"];
      // Each waits for its input, so that both run at the same time.
      await using inFolder = new Client([
        ...["--namespace", "other", "run", "--rm", "--runtime", RUNTIME, "--rootfs", folder, id],
        ...[...command, "read _; cat /here"],
      ], { input: true });
      await using inImage = new Client(
        runArguments(id, [...command, "echo ready; read _; cat /here"], { flags: ["--rm"] }),
        { input: true },
      );
      await inImage.line("ready");
      await inFolder.write("go on\n");
      const other = await inFolder.ended;
      assert.deepEqual([other.code, other.stdout], [0, "a folder\n"]);
      await inImage.write("go on\n");
      const { code, stderr } = await inImage.ended;
      assert.equal(code, 1);
      assert.match(stderr, /can't open '\/here'/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

e2e("a missing mount source or an unknown annotation is refused by name", async (bench) => {
  const refused = async (...flags: string[]) => {
    const { code, stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["true"], { flags: ["--rm", ...flags] }),
    );
    assert.equal(code, 1);
    assert.equal(stdout, "");
    return stderr.trimEnd();
  };
  const folder = "type=bind,src=/no/such/folder,dst=/data,options=rbind:ro";
  assert.equal(
    await refused("--mount", folder),
    "ctr: failed to create shim task: mount of /no/such/folder at /data: " +
      "the source does not exist on the host",
  );
  assert.match(
    await refused("--annotation", "io.qemubox.no-such-thing=1"),
    /^ctr: [^\n]*annotation io\.qemubox\.no-such-thing is unknown[^\n]*$/,
  );
});
