import { forceRemove, killTask } from "../lib/containers.ts";
import { ctrOk, podFlags, runArguments } from "../lib/ctr.ts";
import { firstByteOf, newId } from "./ctr_container.ts";
import type { Measure } from "./measure.ts";

/** Another container of a pod through containerd, from the call of `ctr run` to its first byte. */
export const pod: Measure = {
  name: "pod",
  rows: { "pod-first-byte": "ms" },
  async run() {
    const id = newId();
    const flags = ["-d", "--null-io", ...podFlags(id, "sandbox")];
    try {
      await ctrOk(...runArguments(id, ["sleep", "3600"], { flags }));
      const member = ["--rm", ...podFlags(id, "container")];
      const ms = await firstByteOf(runArguments(newId(), ["echo", "up"], { flags: member }));
      await killTask(id);
      return { "pod-first-byte": ms };
    } finally {
      await forceRemove(id);
    }
  },
};
