/** The processes of a container are in the host's cgroup that its specification names. */

import assert from "node:assert/strict";
import { FOREVER, removeContainer } from "../lib/containers.ts";
import { ctrOk, runArguments, task } from "../lib/ctr.ts";
import { kill, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { patience, until } from "../lib/wait.ts";
import { lab } from "./lab.ts";

for (const how of ["task rm", "SIGKILL of the shim"] as const) {
  lab(
    `shim, QEMU and helpers are in one host cgroup, which is gone after ${how}`,
    async (bench) => {
      const id = bench.newId();
      const path = `/lab-parent/${id}`;
      const flags = ["-d", "--cgroup", path, "--memory-limit", String(64 << 20)];
      await ctrOk(...runArguments(id, FOREVER, { flags }));
      const processes = sandboxProcesses(id);
      assert(processes.some(({ role }) => role === "qemu"));
      assert(processes.some(({ role }) => role === "virtiofsd"));
      for (const { pid, role } of processes) {
        assert.equal(Deno.readTextFileSync(`/proc/${pid}/cgroup`), `0::${path}\n`, role);
      }
      if (how === "task rm") await ctrOk("task", "kill", "--signal", "SIGKILL", id);
      else kill(shimOf(id), "SIGKILL");
      await until("the task's end", patience(10_000), async () => {
        const line = await task(id);
        return line === null || line.status === "STOPPED" || null;
      });
      // The frame looks at the cgroups that are left.
      await removeContainer(id);
    },
  );
}
