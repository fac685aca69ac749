/** Checkpoints made by containerd's clients: images, from which other containers are restored. */

import assert from "node:assert/strict";
import { assertConfined } from "../lib/confined.ts";
import { killTask } from "../lib/containers.ts";
import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { qemuOf } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { until } from "../lib/wait.ts";

const SHOWN_WITHIN_MS = 60_000;
const CHECKPOINT = "docker.io/library/checkpoint:1";
// Renamed into place: between a shell's truncation and its write a reader would find nothing.
const COUNT = "i=$((i+1)); echo $i >/next; mv /next /state; sleep 0.2";
const COUNTER = ["sh", "-c", `i=0; while :; do ${COUNT}; done`];

async function state(id: string, execId: string): Promise<number> {
  const text = await ctrOk("task", "exec", "--exec-id", execId, id, "cat", "/state");
  return Number(text.trim() || "0");
}

async function remove(id: string): Promise<void> {
  await killTask(id);
  await ctr("task", "rm", id); // its exit status is the container's
  await ctrOk("containers", "rm", id);
}

e2e("ctr makes a checkpoint of a container, and restores another from it", async (bench) => {
  const [id, other] = [bench.newId(), bench.newId()];
  await ctrOk(...runArguments(id, COUNTER, { flags: ["-d", "--null-io"] }));
  await until("a count", SHOWN_WITHIN_MS, async () => await state(id, "a") > 1 || null);
  try {
    await ctrOk("containers", "checkpoint", "--task", "--image", id, CHECKPOINT);
    assert.equal((await task(id))?.status, "RUNNING");
    assertConfined(qemuOf(id), id);
    const taken = await state(id, "b");
    await remove(id);

    await ctrOk("containers", "restore", "--live", other, CHECKPOINT);
    assert.equal((await task(other))?.status, "RUNNING");
    assertConfined(qemuOf(other), other);
    const restored = await state(other, "c");
    assert.ok(restored > 1, `${restored}; it was about ${taken}`);
    await until("more", SHOWN_WITHIN_MS, async () => await state(other, "d") > restored || null);
    await remove(other);
  } finally {
    await ctr("images", "rm", "--sync", CHECKPOINT);
    // containerd leaves the directory that it unpacks for a shim.
    for (const { name } of Deno.readDirSync("/tmp")) {
      if (name.startsWith("ctrd-checkpoint")) {
        await Deno.remove(`/tmp/${name}`, { recursive: true });
      }
    }
  }
});

e2e("ctr makes a checkpoint in a directory, and the container exits with it", async (bench) => {
  const id = bench.newId();
  await ctrOk(...runArguments(id, COUNTER, { flags: ["-d", "--null-io"] }));
  const folder = await Deno.makeTempDir();
  try {
    await ctrOk("task", "checkpoint", "--exit", "--image-path", folder, id);
    const stopped = async () => (await task(id))?.status === "STOPPED" || null;
    await until("exit of the container", SHOWN_WITHIN_MS, stopped);
    assert.ok((await Deno.stat(`${folder}/inventory.img`)).size > 0);
    await ctr("task", "rm", id);
    await ctrOk("containers", "rm", id);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
