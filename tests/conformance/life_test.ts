/** Containers from Create to Delete. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { sha256 } from "../lib/bytes.ts";
import { patience, until } from "../lib/wait.ts";
import { Box, update as updateLimits } from "./box.ts";
import { conformance } from "./conformance.ts";
import { codeOf, IS_OURS } from "./shim.ts";

const ORPHANS = 1000;
/** Bytes that fit into a FIFO. */
const IN_A_FIFO = 40_000;
/** How long the shim waits for a reader that takes nothing from its FIFO. */
const UNREAD_MS = 2_000;
const STARTS_WITHIN_MS = patience(30_000);
const [SIGTERM, SIGKILL] = [15, 9];

conformance(
  "a quick container's last byte arrives though it is deleted right after Wait",
  async (host) => {
    const script = `cat >/tmp/in; sha256sum </tmp/in >&2; head -c ${
      8 * MIB
    } /dev/zero | tr '\\0' x`;
    const streams = { stdin: true, stdout: true, stderr: true };
    await using box = await Box.create(host, ["sh", "-c", `${script}; exit 42`], { streams });
    const { id, task } = box;
    await box.start();
    const input = new Uint8Array(MIB).fill(1);
    const writer = box.stdio.writer();
    await writer.write(input);
    await writer.detach();
    await task.closeIO({ id, stdin: true });
    const { exitStatus } = await task.wait({ id });
    const deleted = await task.delete({ id });
    assert.deepEqual([exitStatus, deleted.exitStatus], [42, 42]);
    assert.equal((await box.stdio.errors).split(" ")[0], sha256(input));
    assert.equal(sha256(await box.stdio.output), sha256(new Uint8Array(8 * MIB).fill(120)));
    assert.deepEqual(host.events.lines(id).slice(0, 3), ["create", "start", "exit 42"]);
    const { stdin, stdout, stderr } = host.events.of(id)[0]!.body["io"] as Record<string, string>;
    assert.deepEqual([stdin, stdout, stderr], [
      box.stdio.stdin,
      box.stdio.stdout,
      box.stdio.stderr,
    ]);
  },
);

conformance(
  "an exit waits for the reader of the last bytes, which stay in the FIFO",
  async (host) => {
    const script = `echo ready; read _; head -c ${IN_A_FIFO} /dev/zero`;
    const streams = { stdin: true, stdout: true };
    await using box = await Box.create(host, ["sh", "-c", script], { streams });
    const { id, task } = box;
    await box.start();
    await box.stdio.shows("ready");
    box.stdio.reader.kill("SIGSTOP");
    const goneOnAt = performance.now();
    await box.stdio.writer().write("go on\n");
    const { exitStatus } = await task.wait({ id });
    // containerd's own shim reports the exit at once: its client may then close an unread FIFO.
    if (IS_OURS) assert.ok(performance.now() - goneOnAt >= UNREAD_MS);
    box.stdio.reader.kill("SIGCONT");
    assert.equal(exitStatus, 0);
    assert.equal((await box.stdio.output).length, "ready\n".length + IN_A_FIFO);
  },
);

conformance("a container that never ran can be deleted", async (host) => {
  await using deleted = await Box.create(host, ["true"], { streams: { stdout: true } });
  const { exitStatus } = await deleted.task.delete({ id: deleted.id });
  // containerd's own shim kills it first, and may know its exit status by then.
  assert.ok((IS_OURS ? [0] : [0, 137]).includes(exitStatus), String(exitStatus));
  assert.equal((await deleted.stdio.output).length, 0);
});

conformance("a missing command fails, and its id is free again", async (host) => {
  await assert.rejects(
    async () => {
      await using box = await Box.create(host, ["/no/such/command"], { streams: {} });
      await box.start();
    },
    /\/no\/such\/command.*(no such file or directory|not found)/i,
  );
});

conformance("limits, metrics, memory that runs out, and 1,000 orphans", async (host, t) => {
  const script = "trap 'exit 143' TERM; while :; do sleep 1000 & wait; done";
  await using box = await Box.create(host, ["sh", "-c", script], {
    streams: {},
    ownPids: false,
    memoryBytes: 128 * MIB,
  });
  const { id, task } = box;
  await box.start();
  const update = (resources: unknown) => updateLimits(box, resources);

  await t.step("metrics are the container's", async () => {
    // Until the shell has started, what it was before is not counted as the container's.
    const { cpu, memory } = await until("the shell and its child", STARTS_WITHIN_MS, async () => {
      const now = await box.stats();
      return now.pids!.current >= 2n && now.memory!.usage > 0n ? now : null;
    });
    assert.equal(memory!.usageLimit, BigInt(128 * MIB));
    assert.ok(memory!.usage < memory!.usageLimit);
    assert.ok(cpu!.usageUsec > 0n);
  });

  await t.step("limits change while it runs", async () => {
    await update({ memory: { limit: 64 * MIB }, pids: { limit: 50 } });
    const { memory, pids } = await box.stats();
    assert.deepEqual([memory!.usageLimit, pids!.limit], [BigInt(64 * MIB), 50n]);
    await update({ pids: { limit: 4000 } });
    if (IS_OURS) {
      await assert.rejects(update({ memory: { limit: 2 ** 50 } }), /more than its VM has: \d+ MiB/);
    }
    assert.equal(await codeOf(update("nothing")), IS_OURS ? "InvalidArgument" : "Unknown");
  });

  await t.step("an OOM kill is reported before the exit it causes", async () => {
    const { status } = await box.run(["sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1"]);
    assert.notEqual(status, 0);
    await host.events.wait("/tasks/oom", id);
    const lines = host.events.lines(id);
    const exit = lines.findIndex((line) => line.startsWith("exit "));
    // containerd's own shim learns of both from different sources, and reports them as they come.
    if (IS_OURS) assert.ok(lines.indexOf("oom") < exit, lines.join());
    assert.equal((await task.state({ id })).status, 2);
  });

  await t.step("1,000 orphans leave nothing", async () => {
    // The intermediate shell exits before its child does.
    const fork = `i=0; while [ $i -lt ${ORPHANS} ]; do (: &); i=$((i + 1)); done`;
    assert.equal((await box.run(["sh", "-c", fork])).status, 0);
    const zombies = "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '";
    for (let attempt = 0;; attempt++) {
      const { stdout } = await box.run(["sh", "-c", zombies]);
      if (stdout === "0\n") break;
      assert.ok(attempt < 10, `${stdout.trim()} zombies`);
    }
  });

  await t.step("the process handles SIGTERM", async () => {
    await task.kill({ id, signal: SIGTERM });
    assert.equal((await task.wait({ id })).exitStatus, 143);
    // Without a PID namespace runc signals the cgroup instead, and accepts that it is empty.
    const late = await codeOf(task.kill({ id, signal: SIGKILL }));
    assert.equal(late, IS_OURS ? "NotFound" : "OK");
  });
});
