/**
 * What reaper_test.ts runs: a reaper as the child subreaper of real processes. Prints what became of
 * them.
 */
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

/** Runs `script` as an orphan, which is claimed while it is `alive` or after its exit. */
async function orphan(script: string, alive: boolean): Promise<number> {
  using nursery = reaper.openNursery();
  const pids = system.pipe();
  const hold = system.pipe();
  const parent = shell(`{ ${script}; } <&3 & echo $! >&4`, { 3: hold.read, 4: pids.write });
  system.close(hold.read);
  await parent.exited; // the shell would take the exit of its child itself
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

/** Waits until the reaper has taken `pid`, of which nobody tells us. */
async function gone(pid: Pid): Promise<void> {
  for (;;) {
    try {
      system.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const orphanThatEnded = await orphan("cat; exit 3", false);
const orphanThatLived = await orphan("cat; exit 4", true);
await reaper.childless(); // so that there is no zombie either

console.log(JSON.stringify({ codes, killed: { code, signal }, orphanThatEnded, orphanThatLived }));
