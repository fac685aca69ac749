/**
 * Kills processes of a running container: containerd must learn of it soon, and nothing may be left
 * once the task is removed.
 */

import assert from "node:assert/strict";
import { readIfPresent } from "../../base/mod.ts";
import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import { Events } from "../lib/containerd_events.ts";
import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { until, within } from "../lib/wait.ts";
import { FOREVER, removeContainer, startDetached } from "../lib/containers.ts";
import { KILLED_STATUS, killEndsContainer, KNOWN_WITHIN_MS, VICTIMS } from "../lib/kills.ts";
import { kill, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { fault } from "../lib/testbed.ts";

/** The longest timeout of a call to the guest, and time to kill the VM. */
const FROZEN_WITHIN_MS = 45_000;
const BOOT_WITHIN_MS = 60_000;

for (const name of Object.keys(VICTIMS) as (keyof typeof VICTIMS)[]) {
  fault(`SIGKILL of ${name} ends a running container`, (id) => killEndsContainer(id, name));
}

fault("SIGKILL of QEMU ends a foreground ctr run", async (id) => {
  await using events = await Events.open();
  await killInForeground(id, events, "QEMU", "SIGKILL");
});

fault("SIGTERM of the shim ends a running container", async (id) => {
  await using events = await Events.open();
  await killInForeground(id, events, "the shim", "SIGTERM");
  const exit = await events.wait("/tasks/exit", id);
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
});

/** Runs a container in the foreground and signals a process of it, which has to end `ctr run`. */
async function killInForeground(
  id: string,
  events: Events,
  victim: "QEMU" | "the shim",
  signal: Deno.Signal,
): Promise<void> {
  const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm"] }));
  await events.wait("/tasks/start", id);
  kill(VICTIMS[victim](sandboxProcesses(id))!.pid, signal);
  const { code } = await within("exit of ctr run", KNOWN_WITHIN_MS, client);
  assert.equal(code, KILLED_STATUS);
}

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  fault(`${signal} of the shim while QEMU boots fails ctr run`, async (id) => {
    const client = ctr(...runArguments(id, FOREVER, { flags: ["-d"] }));
    await until("QEMU", BOOT_WITHIN_MS, () => VICTIMS["QEMU"](sandboxProcesses(id)) ?? null);
    kill(VICTIMS["the shim"](sandboxProcesses(id))!.pid, signal);
    const { code, stderr } = await within("exit of ctr run", KNOWN_WITHIN_MS, client);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^ctr: .+\n$/);
    assert.equal(await task(id), null);
    await removeContainer(id);
  });
}

fault("SIGKILL of a container works in a stopped VM", async (id) => {
  await using events = await Events.open();
  await startDetached(id);
  kill(VICTIMS["QEMU"](sandboxProcesses(id))!.pid, "SIGSTOP");
  const killing = ctrOk("task", "kill", "--signal", "SIGKILL", id);
  const exit = await events.wait("/tasks/exit", id, FROZEN_WITHIN_MS);
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
  await within("exit of ctr task kill", KNOWN_WITHIN_MS, killing);
  await removeContainer(id);
});

fault("a guest that stops after it was ready fails ctr run", async (id) => {
  const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm"] }));
  await until("the guest's ready marker", BOOT_WITHIN_MS, () => isReady(id) || null);
  kill(VICTIMS["QEMU"](sandboxProcesses(id))!.pid, "SIGSTOP");
  const { code, stderr } = await within("exit of ctr run", FROZEN_WITHIN_MS, client);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^ctr: .*guest did not answer .+ within \d+ m?s.*\n$/);
});

function isReady(id: string): boolean {
  const log = readIfPresent("/var/log/qemubox/console.log") ?? "";
  return log.includes(`/${id}: ${GUEST_READY_MARKER}\n`);
}
