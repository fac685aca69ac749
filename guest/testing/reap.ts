/**
 * The program of reaper_test.ts: a reaper as the child subreaper of real processes. Prints their
 * exits.
 */
import { poll } from "../../base/mod.ts";
import { type Fd, type Pid, SIG, system } from "../../ffi/mod.ts";
import { Reaper } from "../base/reaper.ts";

system.setChildSubreaper(true);
using reaper = new Reaper(system);
const shell = (script: string, fds: Record<number, Fd | "null"> = {}) =>
  reaper.spawn({ path: "/bin/sh", args: ["-c", script], fds });

const codes = await Promise.all(
  Array.from({ length: 64 }, async (_, index) => (await shell(`exit ${index}`).exited).code),
);

const sleeper = shell("exec sleep 1000");
reaper.kill(sleeper, SIG.KILL);
const { code, signal } = await sleeper.exited;

/** Runs `script` as an orphan that is claimed while it is `alive`, or after its exit. */
async function orphan(script: string, alive: boolean): Promise<number> {
  using nursery = reaper.openNursery();
  const pids = system.pipe();
  const hold = system.pipe();
  const parent = shell(`{ ${script}; } <&3 & echo $! >&4`, { 3: hold.read, 4: pids.write });
  system.close(hold.read);
  await parent.exited; // otherwise the shell would reap its child
  if (!alive) system.close(hold.write);
  system.close(pids.write);
  const buffer = new Uint8Array(32);
  const pid = Number(new TextDecoder().decode(buffer.subarray(0, system.read(pids.read, buffer)!)));
  system.close(pids.read);
  if (!alive) await gone(pid as Pid);
  const { exited } = nursery.claim(pid as Pid);
  if (alive) system.close(hold.write);
  return (await exited).code;
}

/** Waits until the reaper has reaped `pid`, which it does not report. */
async function gone(pid: Pid): Promise<void> {
  const isGone = (): true | null => {
    try {
      system.kill(pid, 0);
      return null;
    } catch {
      return true;
    }
  };
  const found = await poll(isGone, { everyMs: 1, timeoutMs: 10_000 });
  if (found === null) throw new Error(`process ${pid} was not reaped`);
}

const orphanThatEnded = await orphan("cat; exit 3", false);
const orphanThatLived = await orphan("cat; exit 4", true);
await reaper.childless(); // so there is no zombie

console.log(JSON.stringify({ codes, killed: { code, signal }, orphanThatEnded, orphanThatLived }));
