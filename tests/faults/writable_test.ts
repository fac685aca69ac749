/** Kills a container: its writable disk must be gone. */

import assert from "node:assert/strict";
import { Events } from "../lib/containerd_events.ts";
import { removeContainer } from "../lib/containers.ts";
import { ctrOk, runArguments } from "../lib/ctr.ts";
import { KILLED_STATUS, KNOWN_WITHIN_MS, VICTIMS } from "../lib/kills.ts";
import { kill, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { fault } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { bytesOf, diskOf, openDisks } from "../lib/writable_disks.ts";

for (const victim of ["the shim", "QEMU"] as const) {
  fault(`SIGKILL of ${victim} removes the writable disk`, async (id) => {
    await using events = await Events.open();
    const script = "head -c 20000000 /dev/urandom > /big; sync; sleep 3600";
    await ctrOk(...runArguments(id, ["sh", "-c", script], { flags: ["-d"] }));
    await until(
      "writes of the container",
      patience(30_000),
      () => bytesOf(diskOf(id)!) > 19_000_000 || null,
    );
    kill(VICTIMS[victim](sandboxProcesses(id))!.pid, "SIGKILL");
    const exit = await events.wait("/tasks/exit", id, KNOWN_WITHIN_MS);
    assert.equal(exit.body["exit_status"], KILLED_STATUS);
    await removeContainer(id);
    await until("removal of the disk", patience(5_000), () => openDisks().length === 0 || null);
    const files = [...Deno.readDirSync("/var/lib/qemubox")].map(({ name }) => name);
    assert.deepEqual(files.filter((name) => /^[.#]/.test(name)), []);
  });
}
