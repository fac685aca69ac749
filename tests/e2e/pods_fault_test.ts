/** Kills what a pod runs in: its VM, and the shim that all its containers share. */

import assert from "node:assert/strict";
import { KILLED_STATUS, VICTIMS } from "../lib/kills.ts";
import { podProcesses, podTest } from "../lib/pods.ts";
import { kill } from "../lib/sandbox_processes.ts";
import { patience, until } from "../lib/wait.ts";

const FOREVER = ["sleep", "3600"];
const SOON_MS = patience(30_000);

/** CRI reports 255 for a container whose shim is gone, with any runtime. */
const STATUS = { "QEMU": KILLED_STATUS, "the shim": 255 } as const;

for (const name of ["QEMU", "the shim"] as const) {
  podTest(
    `SIGKILL of ${name} of a pod ends all its containers, and the pod can be made again`,
    async (bench) => {
      const pod = await bench.runPod({ name: "again" });
      const containers = [
        await pod.startContainer({ name: "first", command: FOREVER }),
        await pod.startContainer({ name: "second", command: FOREVER }),
      ];
      const ended = await pod.startContainer({ name: "ended", command: ["sh", "-c", "exit 3"] });
      assert.equal((await ended.ended()).exitCode, 3);
      const victim = VICTIMS[name](podProcesses(pod.id));
      assert(victim !== undefined, `${name} does not run`);
      kill(victim.pid, "SIGKILL");

      for (const container of containers) {
        assert.equal((await container.ended()).exitCode, STATUS[name]);
      }
      // It keeps its exit status.
      assert.equal((await ended.status()).exitCode, 3);
      await until("end of the pod", SOON_MS, async () => {
        return (await pod.status()).state === "SANDBOX_NOTREADY" || null;
      });
      await pod.stop();

      const again = await bench.runPod({ name: "again", attempt: 1 });
      const container = await again.startContainer({ name: "first", attempt: 1, command: FOREVER });
      assert.equal(await container.exec("echo", "here"), "here\n");
      for (const one of [again, pod]) {
        await one.stop();
        await one.remove();
      }
    },
    { inVm: true },
  );
}
