/** Checkpoints of containers, and containers restored from them. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { packAny, runcOptions } from "../../proto/mod.ts";
import { Box } from "./box.ts";
import { conformance, ours } from "./conformance.ts";
import { codeOf, type Host, IS_OURS } from "./shim.ts";

const [SIGKILL] = [9];
const EARLY = "FailedPrecondition";
const [RUNNING, STOPPED, PAUSED] = [2, 3, 4];
const options = (asked: { exit?: boolean; fileLocks?: boolean; openTcp?: boolean }) =>
  packAny(runcOptions.CheckpointOptionsSchema, asked);

/** Sums the lines that it reads, printing each sum. It keeps the lines in /dev/shm. */
const ADDER = `
  sum=0
  echo ready
  while read -r line; do
    sum=$((sum + line))
    echo "$line" >>/dev/shm/lines
    echo "sum $sum of $(wc -l </dev/shm/lines)"
  done
  echo "end $sum"
  exit 7
`;
const STREAMS = { stdin: true, stdout: true, stderr: true };

/** Makes a directory on the host for a checkpoint, as containerd does. */
function newFolder(host: Host): string {
  return Deno.makeTempDirSync({ dir: host.folder, prefix: "checkpoint-" });
}

conformance(
  "a container runs on after a checkpoint, and another is restored from it",
  async (host) => {
    const folder = newFolder(host);
    {
      await using box = await Box.create(host, ["sh", "-c", ADDER], { streams: STREAMS });
      const { id, task } = box;
      assert.equal(
        await codeOf(task.checkpoint({ id, path: folder })),
        IS_OURS ? EARLY : "Unknown",
      );
      await box.start();
      const writer = box.stdio.writer();
      await writer.write("20\n");
      await box.stdio.shows("sum 20 of 1");
      await task.checkpoint({ id, path: folder, options: options({}) });
      assert.equal((await task.state({ id })).status, RUNNING);
      assert.ok([...Deno.readDirSync(folder)].some(({ name }) => name === "inventory.img"));
      // The container runs on unharmed.
      await writer.write("1\n");
      await box.stdio.shows("sum 21 of 2");
      await writer.detach();
      await task.closeIO({ id, stdin: true });
      assert.equal((await task.wait({ id })).exitStatus, 7);
    }
    await using restored = await Box.create(host, ["sh", "-c", ADDER], {
      ...{ streams: STREAMS, checkpoint: folder },
    });
    await restored.start();
    assert.equal((await restored.task.state({ id: restored.id })).status, RUNNING);
    const writer = restored.stdio.writer();
    await writer.write("300\n");
    await restored.stdio.shows("sum 320 of 2");
    const run = await restored.run(["cat", "/dev/shm/lines"]);
    assert.deepEqual([run.status, run.stdout], [0, "20\n300\n"]);
    await writer.detach();
    await restored.task.closeIO({ id: restored.id, stdin: true });
    assert.equal((await restored.task.wait({ id: restored.id })).exitStatus, 7);
    assert.equal(new TextDecoder().decode(await restored.stdio.output), "sum 320 of 2\nend 320\n");
    const { id } = restored;
    assert.deepEqual(host.events.lines(id).slice(0, 2), ["create", "start"]);
  },
);

ours(
  "its checkpoint fails now and then",
  "a shell that forks all the time can be checkpointed",
  async (host) => {
    await using box = await Box.create(host, ["sh", "-c", "while :; do ls >/dev/null; done"]);
    const { id, task } = box;
    await box.start();
    for (let round = 0; round < 8; round++) {
      await task.checkpoint({ id, path: newFolder(host) });
    }
  },
);

conformance("a checkpoint with exit kills its container", async (host) => {
  const folder = newFolder(host);
  await using box = await Box.create(host, ["sh", "-c", ADDER], { streams: STREAMS });
  const { id, task } = box;
  await box.start();
  await box.stdio.shows("ready");
  await task.checkpoint({ id, path: folder, options: options({ exit: true }) });
  assert.equal((await task.wait({ id })).exitStatus, 137);
  assert.equal((await task.state({ id })).status, STOPPED);
  await task.delete({ id });
  assert.ok(Deno.statSync(`${folder}/inventory.img`).size > 0);
});

ours(
  "its containers write into a snapshot, which is not part of a checkpoint",
  "a checkpoint of a paused container leaves it paused, and has its changed files and large memory",
  async (host) => {
    const folder = newFolder(host);
    const script = `
      rm /bin/vi; mkdir /work; echo kept >/work/file; chmod 4711 /work/file
      head -c ${48 * MIB} /dev/urandom >/dev/shm/blob; sha256sum </dev/shm/blob >/work/sum
      exec 5>/work/open; echo one >&5
      echo ready
      while :; do sleep 1; [ -e /work/go ] && break; done
      echo two >&5
      sha256sum </dev/shm/blob | cmp - /work/sum && ls /work /bin/vi; cat /work/open; exit 3
    `;
    {
      await using box = await Box.create(host, ["sh", "-c", script]);
      const { id, task } = box;
      await box.start();
      await box.stdio.shows("ready");
      await task.pause({ id });
      await task.checkpoint({ id, path: folder });
      assert.equal((await task.state({ id })).status, PAUSED);
      assert.ok(host.events.lines(id).includes("checkpointed"), String(host.events.lines(id)));
      await task.resume({ id });
      assert.equal((await box.run(["cat", "/work/file"])).stdout, "kept\n");
      await task.kill({ id, signal: SIGKILL });
      await task.wait({ id });
    }
    await using restored = await Box.create(host, ["sh", "-c", script], { checkpoint: folder });
    const { id, task } = restored;
    await restored.start();
    assert.equal((await restored.run(["stat", "-c", "%a", "/work/file"])).stdout, "4711\n");
    await restored.run(["touch", "/work/go"]);
    assert.equal((await task.wait({ id })).exitStatus, 3);
    const text = new TextDecoder().decode(await restored.stdio.output);
    assert.equal(text, "/work:\nfile\ngo\nopen\nsum\none\ntwo\n");
    assert.match(await restored.stdio.errors, /\/bin\/vi: No such file/);
  },
);

conformance("a checkpoint has a terminal and its shell", async (host) => {
  const folder = newFolder(host);
  const terminal = { terminal: true, streams: { stdin: true, stdout: true } };
  {
    await using box = await Box.create(host, ["sh"], terminal);
    const { id, task } = box;
    await box.start();
    await task.resizePty({ id, width: 77, height: 33 });
    await box.stdio.writer().write("kept=val; echo one $kept''ue\n");
    await box.stdio.shows("one value");
    await task.checkpoint({ id, path: folder });
    await task.kill({ id, signal: SIGKILL });
    await task.wait({ id });
  }
  await using restored = await Box.create(host, ["sh"], { ...terminal, checkpoint: folder });
  const { id, task } = restored;
  await restored.start();
  await restored.stdio.writer().write("echo two $kept''ue; stty size; exit 4\n");
  await restored.stdio.shows("two value");
  await restored.stdio.shows("33 77");
  assert.equal((await task.wait({ id })).exitStatus, 4);
});

ours("its texts differ", "a checkpoint or restore that fails reports why", async (host) => {
  const folder = newFolder(host);
  // CRIU may interrupt a sleep and so end it.
  await using box = await Box.create(host, ["sh", "-c", "while :; do sleep 1000; done"]);
  const { id, task } = box;
  await box.start();
  await assert.rejects(
    task.checkpoint({ id, path: "" }),
    /checkpoint path "" must be the absolute path of a directory/,
  );
  await assert.rejects(
    task.checkpoint({ id, path: folder, options: packAny(runcOptions.OptionsSchema, {}) }),
    /containerd.runc.v1.Options.* are not known/,
  );
  Deno.writeTextFileSync(`${folder}/inventory.img`, "somebody else's");
  await assert.rejects(task.checkpoint({ id, path: folder }), /exists/);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["inventory.img"]);
  assert.equal((await task.state({ id })).status, RUNNING);
  await using bad = await Box.create(host, ["sleep", "1000"], { checkpoint: folder });
  await assert.rejects(bad.start(), /crun restore: .*descriptors\.json/);
});
