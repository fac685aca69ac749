/** The writable layer of a container: on its own disk, or in its VM's memory. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { annotations, configured } from "../lib/configured.ts";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { e2e, withBoth } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { bytesOf, diskOf, openDisks } from "../lib/writable_disks.ts";

const FULL = "No space left on device";

e2e(
  "by default it is a sparse disk in the state directory",
  async (bench) => {
    await withBoth(async (snapshotter) => {
      const id = bench.newId();
      const script = `df -k / | awk 'END { print ($2 > 8000000) }'
      head -c 48000000 /dev/urandom > /big && sync && echo written; read _
      rm /big && sync && echo removed; read _
      mkdir -p /usr/x && echo x > /usr/x/y && rm -r /bin/vi && mv /etc/group /etc/g && cat /usr/x/y`;
      const flags = ["--rm"];
      await using client = new Client(
        runArguments(id, ["sh", "-c", script], { snapshotter, flags }),
        { input: true },
      );
      await client.line("written");
      const disk = diskOf(id)!;
      assert.equal(disk.directory, "/var/lib/qemubox");
      assert.equal(Deno.statSync(disk.path).size, 10_240 * MIB);
      const written = bytesOf(disk);
      assert(written > 45 * MIB && written < 60 * MIB, `${written} bytes are on the disk`);
      await client.write("go on\n");
      await client.line("removed");
      await until(
        "release of the removed file's blocks",
        patience(10_000),
        () => bytesOf(disk) < 8 * MIB || null,
      );
      await client.write("go on\n");
      const { stdout, stderr } = await client.ended;
      assert.deepEqual([stdout, stderr], ["1\nwritten\nremoved\nx\n", ""]);
    });
    assert.deepEqual(openDisks(), []);
  },
);

for (const writable of ["disk", "tmpfs"]) {
  e2e(`a full ${writable} is an error in the container, which runs on`, async (bench) => {
    const fill = (path: string) =>
      `dd if=/dev/zero of=${path} bs=1M count=100 2>&1 | grep -o '${FULL}'`;
    const script = `${fill("/big")}; echo $(($(wc -c < /big) >> 20)); rm /big
      mkdir /d && echo more > /d/more && cat /d/more`;
    const { code, stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["sh", "-c", script], {
        flags: ["--rm", ...annotations({ writable, "writable-mib": "40" })],
      }),
    );
    const [full, size, more] = stdout.split("\n");
    assert.deepEqual([code, stderr, full, more], [0, "", FULL, "more"]);
    assert(Number(size) >= 36 && Number(size) <= 40, stdout);
  });
}

e2e("the configuration file sizes the disk, and each container has its own", async (bench) => {
  using _ = configured({ writable: "disk", writable_mib: 100 });
  const ids = [bench.newId(), bench.newId()];
  const script =
    `ls /mine 2>/dev/null; echo mine > /mine; df -k / | awk 'END { print ($2 > 90000 && $2 < 102400) }'
    echo ready; read _`;
  const clients = ids.map((id) =>
    new Client(runArguments(id, ["sh", "-c", script], { flags: ["--rm"] }), { input: true })
  );
  try {
    for (const client of clients) await client.line("ready");
    const [one, other] = ids.map((id) => Deno.statSync(diskOf(id)!.path));
    assert.equal(one!.size, 100 * MIB);
    assert.notEqual(one!.ino, other!.ino);
    for (const client of clients) await client.write("go on\n");
    for (const { ended } of clients) assert.equal((await ended).stdout, "1\nready\n");
  } finally {
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
});

e2e(
  "a full disk of the host is an error in the container, whose VM runs on",
  async (bench) => {
    const small = Deno.makeTempDirSync({ prefix: "e2e-small-" });
    const mount = async (...args: string[]) =>
      assert((await new Deno.Command(args[0]!, { args: args.slice(1) }).output()).success);
    await mount("mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", small);
    try {
      using _ = configured({ state_dir: small, writable: "disk" });
      const script = `dd if=/dev/urandom of=/big bs=1M count=40 conv=fsync 2>&1 | grep -c error
      echo alive`;
      const { code, stdout } = await ctr(
        ...runArguments(bench.newId(), ["sh", "-c", script], { flags: ["--rm"] }),
      );
      assert.deepEqual([code, stdout], [0, "1\nalive\n"]);
    } finally {
      await mount("umount", small);
      Deno.removeSync(small);
    }
  },
);
