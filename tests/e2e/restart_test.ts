/**
 * Kills and restarts containerd: containers run on, and what it was about to make is either usable,
 * or gone and can be made again under the same name.
 */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { forceRemove } from "../lib/containers.ts";
import { Client, ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { difference, snapshot } from "../lib/system_state.ts";
import { patience, until } from "../lib/wait.ts";
import { hasShimCalls, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { logLines } from "../lib/testbed.ts";

const SOCKET = "/run/containerd/containerd.sock";
const FIFOS = "/run/containerd/fifo";
const BUNDLES = "/run/containerd/io.containerd.runtime.v2.task/default";
const SOON_MS = patience(30_000);
const BOOT_WITHIN_MS = patience(60_000);
const TICKING = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo tick; sleep 0.2; done"];

/** Everything except containerd. */
const OPTIONS = { except: /^\d+ started at \d+: containerd( |$)/ };

/** Defines a test that may leave nothing except another containerd. */
function restarted(name: string, work: (id: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !IN_TESTBED,
    // Processes outlive the test that started them, by intention.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const id = `e2e-restart-${crypto.randomUUID().slice(0, 8)}`;
      const before = await snapshot(OPTIONS);
      try {
        await work(id);
        await until("the system as it was", SOON_MS, async () => {
          const { left } = difference(before, await snapshot(OPTIONS));
          return left.length === 0 ? true : null;
        });
      } catch (error) {
        const { left } = difference(before, await snapshot(OPTIONS));
        console.error(`left:\n  ${left.join("\n  ")}`);
        for (const line of logLines(id)) console.error(line);
        await startContainerd();
        await forceRemove(id);
        throw error;
      }
    },
  });
}

/** Kills containerd. Resolves when it is gone. */
async function killContainerd(): Promise<void> {
  const pids = [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/comm`) === "containerd\n" &&
        Deno.readTextFileSync(`/proc/${name}/cmdline`).startsWith("containerd\0");
    } catch {
      return false;
    }
  });
  for (const pid of pids) Deno.kill(Number(pid), "SIGKILL");
  await until("exit of containerd", SOON_MS, async () => await listens() ? null : true);
}

/** Starts containerd as the testbed does, unless it runs. Resolves when it answers. */
async function startContainerd(): Promise<void> {
  if (await listens()) return;
  new Deno.Command("/bin/sh", {
    args: ["-c", "exec containerd --log-level info >>/var/log/containerd.log 2>&1"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn().unref();
  await until(
    "answer of containerd",
    SOON_MS,
    async () => (await ctr("version")).code === 0 || null,
  );
}

async function listens(): Promise<boolean> {
  try {
    using _connection = await Deno.connect({ transport: "unix", path: SOCKET });
    return true;
  } catch {
    return false;
  }
}

/** Kills and removes whatever is left of a container. */
async function remove(id: string): Promise<void> {
  if (await task(id) !== null) {
    await ctr("task", "kill", "--signal", "SIGKILL", id);
    await until("exit of the task", SOON_MS, async () => {
      const line = await task(id);
      return line === null || line.status === "STOPPED" || line.status === "CREATED" ? true : null;
    });
    await ctr("task", "rm", "--force", id);
  }
  assert.equal(await task(id), null);
  await cleanedUp(id);
  removeFifos(id);
  await ctr("container", "rm", id);
}

/**
 * Waits for the `delete` that containerd runs after a shim has exited. The task may disappear
 * before it, and the bundle is removed after it, even if by then it belongs to another container of
 * the same name.
 */
async function cleanedUp(id: string): Promise<void> {
  await until("clean-up of containerd", SOON_MS, () => {
    return hasShimCalls(id) || isThere(`${BUNDLES}/${id}`) ? null : true;
  });
}

/**
 * Removes the FIFOs of a detached task. ctr makes them, and removes them with the task, unless it
 * was cut off.
 */
function removeFifos(id: string): void {
  for (const { name } of [...Deno.readDirSync(FIFOS)]) {
    const files = [...Deno.readDirSync(`${FIFOS}/${name}`)];
    if (files.some((file) => file.name.startsWith(id) || /^e\d-/.test(file.name))) {
      Deno.removeSync(`${FIFOS}/${name}`, { recursive: true });
    }
  }
}

restarted("a container runs on while containerd is killed and restarted", async (id) => {
  const output = await Deno.makeTempFile({ prefix: "e2e-output-" });
  try {
    const flags = ["-d", "--log-uri", `file://${output}`];
    await ctrOk(...runArguments(id, TICKING, { flags }));
    const { pid } = (await task(id))!;
    const shim = shimOf(id);
    // It is killed in the middle of several execs.
    const execs = Array.from(
      { length: 4 },
      (_, i) => ctr("task", "exec", "--exec-id", `e${i}`, id, "sleep", "1"),
    );
    await killContainerd();
    await Promise.all(execs);
    const size = Deno.statSync(output).size;
    await until("more output without containerd", SOON_MS, () => {
      return Deno.statSync(output).size > size || null;
    });
    await startContainerd();

    assert.deepEqual(await task(id), { id, pid, status: "RUNNING" });
    assert.equal(shimOf(id), shim);
    const again = await ctrOk("task", "exec", "--exec-id", "again", id, "echo", "still there");
    assert.equal(again, "still there\n");
    assert.deepEqual(logLines(id).filter((line) => line.includes("LOST")), []);
    await remove(id);
  } finally {
    await Deno.remove(output);
  }
});

restarted("a client reattaches to streams, and learns of an exit meanwhile", async (id) => {
  const script = "while read line; do echo got $line; [ $line = end ] && exit 9; done";
  await ctrOk(...runArguments(id, ["sh", "-c", script], { flags: ["-d"] }));
  await killContainerd();
  await startContainerd();
  await using client = new Client(["task", "attach", id], { input: true });
  await client.write("one\n");
  await client.line("got one");
  await killContainerd();
  await client[Symbol.asyncDispose]();
  await startContainerd();
  // The exit of a client is not the end of stdin.
  assert.equal((await task(id))?.status, "RUNNING");
  await using next = new Client(["task", "attach", id], { input: true });
  await next.write("two\n");
  await next.line("got two");
  await next[Symbol.asyncDispose]();

  await killContainerd();
  await Deno.writeTextFile(stdinOf(id), "end\n");
  await startContainerd();
  await until(
    "exit of the task",
    SOON_MS,
    async () => (await task(id))?.status === "STOPPED" || null,
  );
  const removed = await ctr("task", "rm", id);
  assert.match(removed.stderr, /non-zero exit code 9\b/);
  assert.deepEqual(logLines(id).filter((line) => line.includes("LOST")), []);
  await remove(id);
});

restarted("a Create during which containerd is killed can be repeated", async (id) => {
  const client = ctr(...runArguments(id, TICKING, { flags: ["-d", "--null-io"] }));
  await until("QEMU", BOOT_WITHIN_MS, () => findQemu(id));
  await killContainerd();
  assert.notEqual((await client).code, 0);
  await startContainerd();
  if (await task(id) !== null) {
    // A task that exists can be used.
    await ctrOk("task", "start", "--detach", id).catch(() => {});
  }
  await remove(id);
  await ctrOk(...runArguments(id, ["true"], { flags: ["--rm"] }));
});

restarted("an Exec during which containerd is killed can be repeated", async (id) => {
  await ctrOk(...runArguments(id, TICKING, { flags: ["-d", "--null-io"] }));
  const exec = (execId: string, ...args: string[]) =>
    ctr("task", "exec", "--exec-id", execId, id, ...args);
  // One is cut off at its start, one while it runs.
  const running = exec("e1", "sleep", "1000");
  await until("the exec process", SOON_MS, async () => {
    return (await ctrOk("task", "ps", id)).includes("e1") || null;
  });
  const beginning = exec("e2", "sleep", "1000");
  await until("its FIFOs", SOON_MS, () => hasFifos("e2") || null);
  await killContainerd();
  await Promise.all([running, beginning]);
  await startContainerd();

  assert.equal((await task(id))?.status, "RUNNING");
  for (const execId of ["e1", "e2"]) {
    // An exec that exists can be killed and, once its exit is known, removed.
    await ctr("task", "kill", "--signal", "SIGKILL", "--exec-id", execId, id);
    await until(`removal of ${execId}`, SOON_MS, async () => {
      const { stderr } = await ctr("task", "rm", "--exec-id", execId, id);
      return stderr.includes("must be stopped") ? null : true;
    });
    removeFifos(id);
    const { code, stdout, stderr } = await exec(execId, "echo", "again");
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "again\n", stderr: "" });
  }
  assert.deepEqual(logLines(id).filter((line) => line.includes("LOST")), []);
  await remove(id);
});

restarted("a Delete during which containerd is killed can be repeated", async (id) => {
  await ctrOk(...runArguments(id, ["true"], { flags: ["-d", "--null-io"] }));
  await until(
    "exit of the task",
    SOON_MS,
    async () => (await task(id))?.status === "STOPPED" || null,
  );
  const client = ctr("task", "rm", id);
  await until("exit of QEMU", SOON_MS, () => findQemu(id) === null ? true : null);
  await killContainerd();
  await client;
  await startContainerd();
  await remove(id);
  await ctrOk(...runArguments(id, ["true"], { flags: ["--rm"] }));
});

/** Returns whether a client is about to call Exec. */
function hasFifos(execId: string): boolean {
  return [...Deno.readDirSync(FIFOS)].some(({ name }) =>
    [...Deno.readDirSync(`${FIFOS}/${name}`)].some((file) => file.name.startsWith(`${execId}-`))
  );
}

/** Returns the FIFO that ctr made for a detached task's input. */
function stdinOf(id: string): string {
  for (const { name } of Deno.readDirSync(FIFOS)) {
    for (const file of Deno.readDirSync(`${FIFOS}/${name}`)) {
      if (file.name === `${id}-stdin`) return `${FIFOS}/${name}/${file.name}`;
    }
  }
  throw new Error(`no FIFO ${id}-stdin`);
}

/** Returns the pid of a container's QEMU, or null. */
function findQemu(id: string): number | null {
  return sandboxProcesses(id).find(({ role }) => role === "qemu")?.pid ?? null;
}
