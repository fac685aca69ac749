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
import { messageOf, MIB } from "../../base/mod.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { until, within } from "../lib/wait.ts";
import { Machine } from "./machine.ts";

const { Status } = taskTypes;
/** How long an event or a state may take; a busy machine under TCG is slow. */
const SEEN_WITHIN_MS = 30_000;
const sh = (script: string): string[] => ["sh", "-c", script];

/** Pause, statistics, limits and OOM kills, with the real cgroups. */
Deno.test({
  name: "controls in a machine",
  ignore: !IN_TESTBED,
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
  await t.step("a paused container stands still and answers; resumed, it runs on", async () => {
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

  await t.step("a signal to all of a paused container does not resume it", async () => {
    await machine.create("c", sh("sleep 1000 & wait; exit 3"));
    await task.start({ id: "c" });
    await until("the second process", SEEN_WITHIN_MS, async () => {
      return (await task.pids({ id: "c" })).processes.length >= 2 || null;
    });
    await task.pause({ id: "c" });
    // The init ignores the signal; the process that it kills is killed at once.
    await task.kill({ id: "c", signal: SIG.TERM, all: true });
    assert.equal((await task.state({ id: "c" })).status, Status.PAUSED);
    await task.resume({ id: "c" });
    assert.equal((await task.wait({ id: "c" })).exitStatus, 3);
    await machine.delete("c");
  });
}

async function limits(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("statistics are the cgroup's, and limits change", async () => {
    await machine.create("c", sh("head -c 20000000 /dev/urandom > /tmp/x; sleep 1000"));
    await task.start({ id: "c" });
    let stats = await until("20 MB in a tmpfs", SEEN_WITHIN_MS, async () => {
      const now = await statsOf(machine, "c");
      return now.memory!.shmem >= 20_000_000n ? now : null;
    });
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
  // One subscription: events in flight are lost when it ends.
  const events = machine.system.events({})[Symbol.asyncIterator]();
  /** Returns the events up to the exit of `last`. */
  const eventsUntil = async (last: string): Promise<string[]> => {
    const seen: string[] = [];
    const collect = async () => {
      while (seen.at(-1) !== `exit ${last}`) {
        const { topic, event } = (await events.next()).value;
        seen.push(
          topic === "/tasks/oom"
            ? `oom ${unpackAny(containerdEvents.TaskOOMSchema, event!).containerId}`
            : `exit ${unpackAny(containerdEvents.TaskExitSchema, event!).id}`,
        );
      }
    };
    await within(`exit of ${last}`, SEEN_WITHIN_MS, collect()).catch((error) => {
      throw new Error(`${messageOf(error)}; there was ${seen}`);
    });
    return seen;
  };

  await t.step("an OOM kill of an exec is reported before its exit", async () => {
    const memory = { limit: 32 * MIB, swap: 32 * MIB };
    await machine.create("oom", ["sleep", "1000"], "", { resources: { memory } });
    await task.start({ id: "oom" });
    await machine.exec("oom", "eater", ["tail", "/dev/zero"]);
    await task.start({ id: "oom", execId: "eater" });
    assert.equal((await task.wait({ id: "oom", execId: "eater" })).exitStatus, 137);
    assert.deepEqual((await eventsUntil("eater")).slice(-2), ["oom oom", "exit eater"]);
    assert.equal((await task.state({ id: "oom" })).status, Status.RUNNING);

    await machine.exec("oom", "parent", sh("tail /dev/zero; exit 0"));
    await task.start({ id: "oom", execId: "parent" });
    assert.equal((await task.wait({ id: "oom", execId: "parent" })).exitStatus, 0);
    assert.deepEqual((await eventsUntil("parent")).slice(-2), ["oom oom", "exit parent"]);
    assert.equal((await statsOf(machine, "oom")).memoryEvents!.oomKill, 2n);
    assert.equal(await machine.kill("oom"), 137);
  });

  await t.step("an OOM kill of the init is reported before its exit", async () => {
    const memory = { limit: 32 * MIB, swap: 32 * MIB };
    await machine.create("oom2", ["tail", "/dev/zero"], "", { resources: { memory } });
    await task.start({ id: "oom2" });
    assert.equal((await task.wait({ id: "oom2" })).exitStatus, 137);
    assert.deepEqual((await eventsUntil("oom2")).slice(-2), ["oom oom2", "exit oom2"]);
    await machine.delete("oom2");
  });
}
