import assert from "node:assert/strict";
import {
  type ExitStatus,
  type Pid,
  type SpawnCommand,
  type System,
  SystemError,
} from "../../ffi/mod.ts";
import { Reaper } from "./reaper.ts";

/** A kernel whose children exit on command. */
function fakeKernel() {
  const alive = new Set<Pid>();
  const zombies: ExitStatus[] = [];
  const killed: [Pid, number][] = [];
  let onSignal = (): void => {};
  let nextPid = 100;
  const system = {
    spawn: (_command: SpawnCommand): Pid => {
      const pid = nextPid++ as Pid;
      alive.add(pid);
      return pid;
    },
    waitChild: (which: Pid | "any"): ExitStatus | null => {
      assert.equal(which, "any");
      const status = zombies.shift();
      if (status !== undefined) return status;
      if (alive.size === 0) throw new SystemError("waitid", "ECHILD");
      return null;
    },
    kill: (pid: Pid, signal: number): void => {
      const exists = alive.has(pid) || zombies.some((status) => status.pid === pid);
      if (!exists) throw new SystemError("kill", "ESRCH");
      if (signal !== 0) killed.push([pid, signal]);
    },
  } as unknown as System;
  return {
    system,
    killed,
    signals: (listener: () => void): Disposable => {
      onSignal = listener;
      return { [Symbol.dispose]: () => onSignal = () => {} };
    },
    /** Makes an orphan a child of PID 1. */
    adopt: (pid: number): Pid => {
      alive.add(pid as Pid);
      return pid as Pid;
    },
    /** Ends a child, without a SIGCHLD. */
    end: (pid: Pid, code: number): void => {
      alive.delete(pid);
      zombies.push({ pid, code, signal: null, at: 0n });
    },
    signal: (): void => onSignal(),
  };
}

const COMMAND: SpawnCommand = { path: "/bin/true", args: [] };

Deno.test("one signal stands for many exits", async () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  const processes = [1, 2, 3].map(() => reaper.spawn(COMMAND));
  processes.forEach(({ pid }, index) => kernel.end(pid, index));
  kernel.signal();
  const codes = await Promise.all(processes.map(async ({ exited }) => (await exited).code));
  assert.deepEqual(codes, [0, 1, 2]);
});

Deno.test("a pid learned late is claimed, before its exit or after", async () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  using nursery = reaper.openNursery();
  const dead = kernel.adopt(7), living = kernel.adopt(8);
  kernel.end(dead, 3);
  kernel.signal();
  assert.equal((await nursery.claim(dead).exited).code, 3);
  const process = nursery.claim(living);
  kernel.end(living, 4);
  kernel.signal();
  assert.equal((await process.exited).code, 4);
});

Deno.test("exits are kept only while a nursery is open, since pids are reused", async () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  const orphan = kernel.adopt(7);
  kernel.end(orphan, 3);
  kernel.signal();
  using nursery = reaper.openNursery();
  kernel.adopt(7);
  const process = nursery.claim(orphan);
  kernel.end(orphan, 4);
  kernel.signal();
  assert.equal((await process.exited).code, 4);
});

Deno.test("a pid that does not exist cannot be claimed: its exit would never come", () => {
  const kernel = fakeKernel();
  using nursery = new Reaper(kernel.system, kernel.signals).openNursery();
  assert.throws(() => nursery.claim(99 as Pid), /ESRCH/);
});

Deno.test("an exited process is not killed, even if its pid is reused", async () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  const process = reaper.spawn(COMMAND);
  assert.equal(reaper.kill(process, 15), true);
  kernel.end(process.pid, 0); // SIGCHLD has not arrived yet
  assert.equal(reaper.kill(process, 15), false);
  assert.equal((await process.exited).code, 0);
  using nursery = reaper.openNursery();
  kernel.adopt(process.pid);
  nursery.claim(process.pid);
  assert.equal(reaper.kill(process, 15), false);
  assert.deepEqual(kernel.killed, [[process.pid, 15]]);
});

Deno.test("childless resolves at the exit of the last child, known or not", async () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  const orphan = kernel.adopt(7);
  let resolved = false;
  const childless = reaper.childless().then(() => resolved = true);
  await Promise.resolve();
  assert.equal(resolved, false);
  kernel.end(orphan, 0);
  kernel.signal();
  await childless;
  await reaper.childless(); // at once
});

Deno.test("a disposed reaper ignores signals", () => {
  const kernel = fakeKernel();
  const reaper = new Reaper(kernel.system, kernel.signals);
  kernel.end(reaper.spawn(COMMAND).pid, 0);
  reaper[Symbol.dispose]();
  kernel.signal();
  assert.equal(kernel.system.waitChild("any")?.code, 0); // not reaped
});

Deno.test("real children: no exit status is lost, no zombie is left", async () => {
  // In a process of its own: a reaper reaps every child.
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--quiet",
      new URL("../testing/reap.ts", import.meta.url).pathname,
    ],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    codes: Array.from({ length: 64 }, (_, index) => index),
    killed: { code: 137, signal: 9 },
    orphanThatEnded: 3,
    orphanThatLived: 4,
  });
});
