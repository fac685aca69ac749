/** Kills a container: its volumes must stay as it left them, and no mount may be left. */

import assert from "node:assert/strict";
import { ifPresent } from "../../base/mod.ts";
import { ctrOk, runArguments, SNAPSHOTTERS } from "../lib/ctr.ts";
import { removeContainer } from "../lib/containers.ts";
import { Events } from "../lib/containerd_events.ts";
import { KILLED_STATUS, KNOWN_WITHIN_MS, VICTIMS } from "../lib/kills.ts";
import { kill, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { fault } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

for (const snapshotter of SNAPSHOTTERS) {
  for (const victim of ["the shim", "virtiofsd", "QEMU"] as const) {
    fault(`SIGKILL of ${victim} leaves the volumes alone, with ${snapshotter}`, async (id) => {
      const folder = Deno.makeTempDirSync({ prefix: "fault-volume-" });
      try {
        Deno.mkdirSync(`${folder}/deep`);
        Deno.writeTextFileSync(`${folder}/deep/precious`, "precious\n");
        await using events = await Events.open();
        const script = "echo written > /rw/new && sync && sleep 3600";
        const flags = ["-d", "--mount", `type=bind,src=${folder},dst=/rw,options=rbind:rw`];
        await ctrOk(...runArguments(id, ["sh", "-c", script], { snapshotter, flags }));
        await written(`${folder}/new`);
        kill(VICTIMS[victim](sandboxProcesses(id))!.pid, "SIGKILL");
        const exit = await events.wait("/tasks/exit", id, KNOWN_WITHIN_MS);
        assert.equal(exit.body["exit_status"], KILLED_STATUS);
        await removeContainer(id);
        assert.equal(Deno.readTextFileSync(`${folder}/new`), "written\n");
        assert.equal(Deno.readTextFileSync(`${folder}/deep/precious`), "precious\n");
        assert(!Deno.readTextFileSync("/proc/self/mountinfo").includes(folder));
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    });
  }
}

/** Resolves when a file is not empty. */
async function written(path: string): Promise<void> {
  await until("a file that the container writes", patience(30_000), () => {
    return (ifPresent(() => Deno.statSync(path))?.size ?? 0) > 0 || null;
  });
}
