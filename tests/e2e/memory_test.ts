/** Memory that a container has freed goes back to the host. */

import assert from "node:assert/strict";
import { Client, runArguments } from "../lib/ctr.ts";
import { argumentsOf, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const KIB_A_MIB = 1024;

/** What a process has of the machine's memory: VmRSS of /proc/PID/status. */
function residentMib(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / KIB_A_MIB;
}

e2e("a freed GiB is the host's again within 10 seconds", async (bench) => {
  const id = bench.newId();
  const script = `dd if=/dev/zero of=/big bs=1M count=1024 2>/dev/null; echo held; read _
    rm /big; echo freed; read _`;
  await using client = new Client(
    runArguments(id, ["sh", "-c", script], {
      flags: [
        ...["--rm", "--memory-limit", String(1400 << 20)],
        ...["--annotation", "io.qemubox.writable-mib=1200"],
        ...["--annotation", "io.qemubox.freed-memory=return"],
      ],
    }),
    { input: true },
  );
  await client.line("held");
  const { pid } = sandboxProcesses(id).find(({ role }) => role === "qemu")!;
  assert(argumentsOf(pid).some((one) => one.startsWith("virtio-balloon-device")));
  const held = residentMib(pid);
  assert(held > 1024, `${held} MiB are resident`);
  await client.write("go on\n");
  await client.line("freed");
  await until(
    `the fall of QEMU's ${held} MiB by 0.9 GiB`,
    patience(10_000),
    () => held - residentMib(pid) >= 0.9 * 1024 || null,
  );
  await client.write("go on\n");
  assert.equal((await client.ended).code, 0);
});
