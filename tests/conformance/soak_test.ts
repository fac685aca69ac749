/** Many containers and execs, in sequence and in parallel, leak nothing. */

import assert from "node:assert/strict";
import { FULL } from "../lib/environment.ts";
import { until } from "../lib/wait.ts";
import { Box } from "./box.ts";
import { conformance, ours } from "./conformance.ts";
import type { Host } from "./shim.ts";

const CYCLES = FULL ? 100 : 20;
const AT_A_TIME = 4;
const EXECS = FULL ? 500 : 100;
const WARM_UP_EXECS = FULL ? 300 : 50;
/**
 * The garbage collector lets V8's heap grow to its working size before it holds it there, which
 * takes some 300 execs (measured: 66 MiB after 50, 78.2 after 300, 78.3 after 500). A leak would
 * show after that, so the long run compares there, and the short one leaves room for it.
 */
const GROWTH_MIB_MAX = FULL ? 4 : 12;
const SETTLES_WITHIN_MS = 10_000;

conformance(`${CYCLES} containers, ${AT_A_TIME} at a time, leave nothing`, async (host) => {
  let left = CYCLES;
  const lane = async () => {
    while (left-- > 0) await cycle(host);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
});

/** Runs a container through Create, Start, Exec, Kill and Delete. */
async function cycle(host: Host): Promise<void> {
  await using box = await Box.create(host, ["sleep", "1000"]);
  const { id, task } = box;
  await box.start();
  assert.equal((await box.run(["echo", id])).stdout, `${id}\n`);
  await task.kill({ id, signal: 9 });
  assert.equal((await task.wait({ id })).exitStatus, 137);
  assert.equal((await task.delete({ id })).exitStatus, 137);
  await host.events.wait("/tasks/delete", id);
}

ours(
  "it is about our process",
  `${EXECS} execs leave the shim's memory and descriptors as they were`,
  async (host) => {
    await using box = await Box.create(host, ["sleep", "1000"], { streams: {} });
    await box.start();
    const pid = await box.shim.pid();
    const execs = async (count: number) => {
      let left = count;
      const lane = async () => {
        while (left-- > 0) assert.equal((await box.run(["true"])).status, 0);
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, lane));
    };
    await execs(WARM_UP_EXECS);
    const descriptors = openFiles(pid);
    let most = memoryMib(pid);
    await execs(EXECS - WARM_UP_EXECS);
    await until("no more descriptors than before", SETTLES_WITHIN_MS, () => {
      return openFiles(pid) <= descriptors || null;
    });
    const after = memoryMib(pid);
    most += GROWTH_MIB_MAX;
    assert.ok(after <= most, `${after.toFixed(1)} MiB are more than ${most.toFixed(1)}`);
    console.log(`shim: ${after.toFixed(1)} MiB after ${EXECS} execs, limit ${most.toFixed(1)}`);
  },
);

function openFiles(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** Returns the private memory of a process, proc_pid_smaps(5). */
function memoryMib(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const kib = [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].map(([, size]) => Number(size));
  return kib.reduce((sum, size) => sum + size, 0) / 1024;
}
