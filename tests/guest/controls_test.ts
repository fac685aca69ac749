import assert from "node:assert/strict";
import { SIG } from "../../ffi/mod.ts";
import {
  cgroups,
  Code,
  events as containerdEvents,
  FrameReader,
  taskTypes,
  unpackAny,
} from "../../proto/mod.ts";
import { Machine } from "./machine.ts";

const ignore = Deno.env.get("QEMUBOX_TESTBED") !== "1";
const { Status } = taskTypes;
const MIB = 1 << 20;
/** How long an event may take; a busy machine under TCG is slow. */
const EVENT_TIMEOUT_MS = 30_000;
const sh = (script: string): string[] => ["sh", "-c", script];

/** Pause, statistics, limits and OOM kills, with the real cgroups. */
Deno.test({
  name: "controls in a machine",
  ignore,
  fn: async (t) => {
    await using machine = await Machine.boot();
    await pause(t, machine);
    await limits(t, machine);
    await oom(t, machine);
  },
});

function statsOf(machine: Machine, id: string): Promise<cgroups.Metrics> {
  return machine.task.stats({ id }).then(({ stats }) => unpackAny(cgroups.MetricsSchema, stats!));
}

async function pause(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("a paused container stands still and answers; resumed, it goes on", async () => {
    await machine.create("c", sh("while :; do echo tick; done"), "o");
    const stream = await machine.dial("c/init/stdout");
    const reader = new FrameReader(stream);
    await task.start({ id: "c" });
    await machine.exec("c", "e", ["sleep", "1000"]);
    await task.start({ id: "c", execId: "e" });
    await reader.read();

    await task.pause({ id: "c" });
    assert.equal((await task.state({ id: "c" })).status, Status.PAUSED);
    assert.equal((await task.state({ id: "c", execId: "e" })).status, Status.PAUSED);
    assert.equal((await task.pids({ id: "c" })).processes.length, 2);
    const used = (await statsOf(machine, "c")).cpu!.usageUsec;
    await machine.system.configure({});
    assert.equal((await statsOf(machine, "c")).cpu!.usageUsec, used);
    await assert.rejects(task.pause({ id: "c" }), /it is paused/);
    await assert.rejects(machine.exec("c", "f", ["true"]), /it is paused/);

    await task.resume({ id: "c" });
    assert.equal((await task.state({ id: "c" })).status, Status.RUNNING);
    for (let bytes = 0; bytes < 200_000;) bytes += (await reader.read())!.length;
    assert.ok((await statsOf(machine, "c")).cpu!.usageUsec > used);
    stream.close();
  });

  await t.step("a paused container can be killed", async () => {
    await task.pause({ id: "c" });
    await task.kill({ id: "c", execId: "e", signal: SIG.KILL });
    assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 137);
    assert.equal((await task.state({ id: "c" })).status, Status.PAUSED);
    assert.equal(await machine.kill("c"), 137);
  });

  await t.step("a signal to all of a paused container does not let it go on", async () => {
    await machine.create("c", sh("sleep 1000 & wait; exit 3"));
    await task.start({ id: "c" });
    while ((await task.pids({ id: "c" })).processes.length < 2);
    await task.pause({ id: "c" });
    // The init ignores it, and what it kills is killed at once.
    await task.kill({ id: "c", signal: SIG.TERM, all: true });
    assert.equal((await task.state({ id: "c" })).status, Status.PAUSED);
    await task.resume({ id: "c" });
    assert.equal((await task.wait({ id: "c" })).exitStatus, 3);
    await machine.delete("c");
  });
}

async function limits(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("statistics, and limits that change", async () => {
    await machine.create("c", sh("head -c 20000000 /dev/urandom > /tmp/x; sleep 1000"));
    await task.start({ id: "c" });
    let stats = await statsOf(machine, "c");
    while (stats.memory!.shmem < 20_000_000n) stats = await statsOf(machine, "c");
    assert.equal(stats.pids!.limit, 64n);
    assert.ok(stats.pids!.current >= 1n);
    assert.equal(stats.memory!.usageLimit, BigInt(128 * MIB));
    assert.ok(stats.memory!.usage >= stats.memory!.shmem);
    assert.ok(stats.cpu!.usageUsec > 0n && stats.cpu!.systemUsec > 0n);

    const update = (resources: unknown) =>
      task.update({
        id: "c",
        resources: {
          typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
          value: new TextEncoder().encode(JSON.stringify(resources)),
        },
      });
    await update({ memory: { limit: 96 * MIB }, pids: { limit: 9 } });
    await update({ cpu: { quota: 50_000, period: 100_000 } });
    stats = await statsOf(machine, "c");
    assert.equal(stats.pids!.limit, 9n);
    assert.equal(stats.memory!.usageLimit, BigInt(96 * MIB));
    const cpu = (await machine.runExec("c", "e", sh("cat /sys/fs/cgroup/cpu.max"))).stdout;
    assert.equal(new TextDecoder().decode(cpu), "50000 100000\n");
    await assert.rejects(update({ cpu: { cpus: "99" } }), (error) => {
      assert.match((error as Error).message, /^crun update: .*cpuset\.cpus/);
      return true;
    });
    assert.equal(await machine.kill("c"), 137);
    await assert.rejects(
      task.stats({ id: "c" }),
      (error) => (error as { code?: Code }).code === Code.NotFound,
    );
  });
}

async function oom(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  // One subscription: what is on its way when one ends is lost with it.
  const events = machine.system.events({})[Symbol.asyncIterator]();
  /** The events up to the exit of `last`. */
  const until = async (last: string): Promise<string[]> => {
    const told: string[] = [];
    const late = Promise.withResolvers<never>();
    const why = (): void => late.reject(new Error(`no exit of ${last} after ${told}`));
    const deadline = setTimeout(why, EVENT_TIMEOUT_MS);
    try {
      for (;;) {
        const { topic, event } = (await Promise.race([events.next(), late.promise])).value;
        if (topic === "/tasks/oom") {
          told.push(`oom ${unpackAny(containerdEvents.TaskOOMSchema, event!).containerId}`);
          continue;
        }
        const { id } = unpackAny(containerdEvents.TaskExitSchema, event!);
        told.push(`exit ${id}`);
        if (id === last) return told;
      }
    } finally {
      clearTimeout(deadline);
    }
  };

  await t.step("what is killed for want of memory: that is told, then its exit", async () => {
    const memory = { limit: 32 * MIB, swap: 32 * MIB };
    await machine.create("oom", ["sleep", "1000"], "", { resources: { memory } });
    await task.start({ id: "oom" });
    await machine.exec("oom", "eater", ["tail", "/dev/zero"]);
    await task.start({ id: "oom", execId: "eater" });
    assert.equal((await task.wait({ id: "oom", execId: "eater" })).exitStatus, 137);
    assert.deepEqual((await until("eater")).slice(-2), ["oom oom", "exit eater"]);
    assert.equal((await task.state({ id: "oom" })).status, Status.RUNNING);

    await machine.exec("oom", "parent", sh("tail /dev/zero; exit 0"));
    await task.start({ id: "oom", execId: "parent" });
    assert.equal((await task.wait({ id: "oom", execId: "parent" })).exitStatus, 0);
    assert.deepEqual((await until("parent")).slice(-2), ["oom oom", "exit parent"]);
    assert.equal((await statsOf(machine, "oom")).memoryEvents!.oomKill, 2n);
    assert.equal(await machine.kill("oom"), 137);
  });

  await t.step("an init that is killed for want of memory", async () => {
    const memory = { limit: 32 * MIB, swap: 32 * MIB };
    await machine.create("oom2", ["tail", "/dev/zero"], "", { resources: { memory } });
    await task.start({ id: "oom2" });
    assert.equal((await task.wait({ id: "oom2" })).exitStatus, 137);
    assert.deepEqual((await until("oom2")).slice(-2), ["oom oom2", "exit oom2"]);
    await machine.delete("oom2");
  });
}
