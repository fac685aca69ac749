/** Containers that write as fast as they can: the cost on the host is bounded. */

import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { removeContainer } from "../lib/containers.ts";
import { cpuPercent } from "../lib/cpu_time.ts";
import { Client, ctrOk, runArguments } from "../lib/ctr.ts";
import { FULL } from "../lib/environment.ts";
import { processMemory } from "../lib/process_memory.ts";
import { shimOf } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";
import { until } from "../lib/wait.ts";

const FLOOD_MS = FULL ? 60_000 : 10_000;
/** Time until a flood of blank lines has begun. */
const BEGUN_MS = 4_000;
/** Time in which a flood has used up what may be logged of it. */
const LOGGED_WITHIN_MS = 60_000;
/** More than without a flood. It is 1 % and less here, and was 30 % when all was read at once. */
const CPU_PERCENT_MORE_MAX = 5;
const MEMORY_MIB_MORE_MAX = 32;
/** Of the sandbox in console.log: 256 KiB, and the prefix of a line. */
const LOG_BYTES_MAX = 258 * 1024;

/** What the shim uses in {@link FLOOD_MS}. */
interface Usage {
  readonly cpuPercent: number;
  readonly memoryMib: number;
}

async function usage(pid: number): Promise<Usage> {
  const percent = await cpuPercent(pid, FLOOD_MS);
  return { cpuPercent: percent, memoryMib: processMemory(pid).privateMib };
}

function assertLittle(name: string, flood: Usage, idle: Usage): void {
  const shown = [flood, idle].map(({ cpuPercent, memoryMib }) =>
    `${cpuPercent.toFixed(1)} % of a CPU, ${memoryMib.toFixed(1)} MiB`
  );
  console.log(`flood of ${name}: the shim uses ${shown[0]}; before it ${shown[1]}`);
  assert.ok(flood.cpuPercent - idle.cpuPercent < CPU_PERCENT_MORE_MAX, `${name}: ${shown}`);
  assert.ok(flood.memoryMib - idle.memoryMib < MEMORY_MIB_MORE_MAX, `${name}: ${shown}`);
}

e2e("a flood of the console costs the shim little, and the log a bounded size", async (bench) => {
  const id = bench.newId();
  await ctrOk(...runArguments(id, ["sleep", "3600"], { flags: ["-d", "--privileged"] }));
  const mknod = "mknod /tmp/tty c 4 64 && mknod /tmp/kmsg c 1 11";
  await ctrOk("task", "exec", "--exec-id", "mknod", id, "sh", "-c", mknod);
  const shim = shimOf(id);
  const logged = () => logLines(id, "console.log").join("\n");
  const idle = await usage(shim);
  const line = "0123456789".repeat(6);
  const floods = [
    ["lines", `exec yes '${line}' >/tmp/tty`],
    ["blank", "exec yes '' >/tmp/tty"],
    ["kernel", `while echo '<1>${line}' >/tmp/kmsg; do :; done`],
  ] as const;
  for (const [name, flood] of floods) {
    await using client = new Client(["task", "exec", "--exec-id", name, id, "sh", "-c", flood]);
    if (name === "lines") {
      const isDropped = () => logged().includes("beyond the limit is dropped") || null;
      await until("a log that is full", LOGGED_WITHIN_MS, isDropped);
    } else await delay(BEGUN_MS);
    assertLittle(name, await usage(shim), idle);
    await ctrOk("task", "kill", "--exec-id", name, "--signal", "SIGKILL", id);
    await client.ended;
  }
  const { length } = logged();
  assert.ok(length > 1024 && length < LOG_BYTES_MAX, `${length} bytes in console.log`);
  await ctrOk("task", "rm", "--force", id);
  await removeContainer(id);
});
