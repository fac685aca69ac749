/** Containers that write as fast as they can: the cost on the host is bounded. */

import assert from "node:assert/strict";
import { removeContainer } from "../lib/containers.ts";
import { Client, ctrOk, runArguments } from "../lib/ctr.ts";
import { shimOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";

const FLOOD_MS = 10_000;
/** Time until a flood has begun, and what may come at once is used up. */
const BEGUN_MS = 4_000;
/** 1 % on an idle machine, and 5 % on a busy one; 30 % before reading was bounded. */
const CPU_PERCENT_MAX = 10;
/** Of the sandbox in console.log: 256 KiB, and the prefix of a line. */
const LOG_BYTES_MAX = 258 * 1024;
/** USER_HZ: proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns the CPU time of a process in milliseconds. */
function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
}

e2e("a flood of the console costs the shim little, and the log a bounded size", async (bench) => {
  const id = bench.newId();
  await ctrOk(...runArguments(id, ["sleep", "3600"], { flags: ["-d", "--privileged"] }));
  await ctrOk("task", "exec", "--exec-id", "mknod", id, "mknod", "/tmp/tty", "c", "4", "64");
  const shim = shimOf(id);
  for (const [name, line] of [["lines", "0123456789".repeat(6)], ["blank", ""]] as const) {
    const flood = `exec yes '${line}' >/tmp/tty`;
    await using client = new Client(["task", "exec", "--exec-id", name, id, "sh", "-c", flood]);
    await pause(BEGUN_MS);
    const before = cpuMs(shim);
    await pause(FLOOD_MS);
    const percent = (cpuMs(shim) - before) / FLOOD_MS * 100;
    console.log(`flood of ${name}: the shim uses ${percent.toFixed(1)} % of a CPU`);
    assert.ok(percent < CPU_PERCENT_MAX, `${name}: ${percent} % of a CPU`);
    await ctrOk("task", "kill", "--exec-id", name, "--signal", "SIGKILL", id);
    await client.ended;
  }
  const lines = Deno.readTextFileSync("/var/log/qemubox/console.log").split("\n");
  const logged = lines.filter((line) => line.includes(`/${id}: `)).join("\n").length;
  assert.ok(logged > 1024 && logged < LOG_BYTES_MAX, `${logged} bytes in console.log`);
  await ctrOk("task", "rm", "--force", id);
  await removeContainer(id);
});
