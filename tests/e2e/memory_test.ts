/** Freed memory goes back to the host, and memory pressure brings more. */

import assert from "node:assert/strict";
import { annotations, configured } from "../lib/configured.ts";
import { Client, runArguments } from "../lib/ctr.ts";
import { argumentsOf, qemuOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const KIB_A_MIB = 1024;

/** Returns a process's resident memory, in total or shared memory only: /proc/PID/status. */
function residentMib(pid: number, what: "VmRSS" | "RssShmem" = "VmRSS"): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const line = status.split("\n").find((one) => one.startsWith(`${what}:`))!;
  return Number(/\d+/.exec(line)![0]) / KIB_A_MIB;
}

/** Returns a VM's memory from QEMU's arguments. */
function machineMib(pid: number): number {
  const memory = argumentsOf(pid).find((one) => one.startsWith("memory-backend-memfd,"))!;
  return Number(/\bsize=(\d+)M\b/.exec(memory)![1]);
}

e2e("a freed GiB goes back to the host within 10 seconds", async (bench) => {
  const id = bench.newId();
  const script = `dd if=/dev/zero of=/big bs=1M count=1024 2>/dev/null; echo held; read _
    rm /big; echo freed; read _`;
  await using client = new Client(
    runArguments(id, ["sh", "-c", script], {
      flags: [
        ...["--rm", "--memory-limit", String(1400 << 20)],
        ...annotations({ writable: "tmpfs", "writable-mib": "1200" }),
      ],
    }),
    { input: true },
  );
  await client.line("held");
  const pid = qemuOf(id);
  assert(argumentsOf(pid).some((one) => one.startsWith("virtio-balloon-device")));
  const held = residentMib(pid);
  assert(held > 1024, `${held} MiB are resident`);
  await client.write("go on\n");
  await client.line("freed");
  await until(
    `a fall of QEMU's ${held} MiB by 0.9 GiB`,
    patience(10_000),
    () => held - residentMib(pid) >= 0.9 * 1024 || null,
  );
  await client.write("go on\n");
  assert.equal((await client.ended).code, 0);
});

e2e(
  "without a limit, pressure brings memory, and unused memory is removed",
  async (bench) => {
    using _ = configured({ default_memory_mib: 256, memory_cooldown_seconds: 2 });
    const id = bench.newId();
    const script = `mib() { awk '/^MemFree/ { print int($2 / 1024) }' /proc/meminfo; }
    less() { until [ $(mib) -lt $1 ]; do sleep 0.2; done; }
    less 512; echo held; read _
    dd if=/dev/zero of=/big bs=1M count=700 2>/dev/null; ls -s /big; echo grown; read _
    rm /big; less 512; echo shrunk; read _`;
    const more = {
      ...{ "memory-mib-max": "1024", "freed-memory": "keep" },
      ...{ writable: "tmpfs", "writable-mib": "800" },
    };
    await using client = new Client(
      runArguments(id, ["sh", "-c", script], { flags: ["--rm", ...annotations(more)] }),
      { input: true },
    );
    await client.line("held");
    const pid = qemuOf(id);
    await client.write("go on\n");
    await client.line("grown");
    // The guest's memory, without QEMU's own, is a memfd that QEMU shares with its helpers.
    const grown = residentMib(pid, "RssShmem");
    assert(grown > 700, `${grown} MiB are resident`);
    await client.write("go on\n");
    await client.line("shrunk");
    // The guest chooses which pages to give up, even those that it never touched.
    const left = machineMib(pid) - (1024 - 256);
    await until(
      `a fall of the guest's ${grown} MiB to ${left} MiB`,
      patience(10_000),
      () => residentMib(pid, "RssShmem") <= left || null,
    );
    await client.write("go on\n");
    assert.deepEqual(await client.ended.then(({ code, stdout }) => [code, stdout]), [
      0,
      "held\n716800 /big\ngrown\nshrunk\n",
    ]);
  },
);
