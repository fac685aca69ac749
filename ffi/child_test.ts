import assert from "node:assert/strict";
import { poll } from "../base/mod.ts";
import { Child } from "./child.ts";
import { SIG } from "./constants.ts";
import { isProcess, processStartTime } from "./proc.ts";
import { system } from "./real_system.ts";
import { recording } from "./recording.ts";
import type { Pid, SpawnCommand } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

const openFds = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
const exit = (code: number): SpawnCommand => ({ path: "/bin/sh", args: ["-c", `exit ${code}`] });
const sleeper: SpawnCommand = { path: "/bin/sleep", args: ["1000"] };

Deno.test("exited has the exit code and time, and the child is reaped", async () => {
  const before = system.clock("realtime");
  const child = Child.spawn(exit(42));
  const { pid, code, signal, at } = await child.exited;
  assert.deepEqual([pid, code, signal], [child.pid, 42, null]);
  assert(at >= before && at <= system.clock("realtime"));
  assert.equal(processStartTime(child.pid), null);
  child.kill(SIG.KILL);
});

Deno.test("exited has the signal that killed the child", async () => {
  const child = Child.spawn(sleeper);
  const start = processStartTime(child.pid)!;
  assert(isProcess(child.pid, start));
  child.kill(0);
  assert.throws(() => child.kill(4711), (error) => isSystemError(error, "EINVAL"));
  child.kill(SIG.TERM);
  const { code, signal } = await child.exited;
  assert.deepEqual([code, signal], [128 + SIG.TERM, SIG.TERM]);
  assert(!isProcess(child.pid, start));
});

Deno.test("100 concurrent children get their own statuses and leak no descriptor", async () => {
  await Child.spawn(exit(0)).exited; // opens the poller's own descriptors
  const before = openFds();
  const children = Array.from({ length: 100 }, (_, code) => Child.spawn(exit(code)));
  const statuses = await Promise.all(children.map(({ exited }) => exited));
  assert.deepEqual(statuses.map(({ code }) => code), children.map((_, code) => code));
  assert.equal(openFds(), before);
});

Deno.test("exited rejects with ECHILD if the child was reaped elsewhere", async () => {
  const stolen = {
    ...system,
    waitChild(pid: Pid | "any"): never {
      system.waitChild(pid);
      throw new SystemError("waitid", "ECHILD");
    },
  };
  const child = Child.spawn(exit(0), { system: stolen });
  await assert.rejects(child.exited, (error) => isSystemError(error, "ECHILD"));
  assert.equal(processStartTime(child.pid), null);
  child.kill(SIG.KILL);
});

Deno.test("a child that cannot be watched is killed and reaped", async () => {
  const { double, calls } = recording(system, { failAt: 1 });
  assert.throws(() => Child.spawn(sleeper, { system: double }), { syscall: "pidfdOpen" });
  const pid = calls[0]!.result as Pid;
  const gone = await poll(() => processStartTime(pid) === null || null, {
    everyMs: 1,
    timeoutMs: 20_000,
  });
  assert.ok(gone, "the child is killed and reaped");
  assert.throws(() => system.waitChild(pid), (error) => isSystemError(error, "ECHILD"));
});
