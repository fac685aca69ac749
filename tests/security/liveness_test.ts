/**
 * Guests that stop answering, and containers that do not exit after SIGKILL: the host ends the VM.
 */

import assert from "node:assert/strict";
import { delay, isThere } from "../../base/mod.ts";
import { configured } from "../lib/configured.ts";
import { type Event, Events } from "../lib/containerd_events.ts";
import { FOREVER, removeContainer, startDetached } from "../lib/containers.ts";
import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { KILLED_STATUS } from "../lib/kills.ts";
import { kill, qemuOf, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";
import { patience, until, within } from "../lib/wait.ts";
import { allEnded, assertDeadlinePassed, removeByForce } from "./forced_removal.ts";

/** Slow machines answer a ping within this time. */
const GUEST_TIMEOUT_MS = patience(6_000);
const KILL_TIMEOUT_MS = patience(5_000);
/** From the deadline to the event. */
const REPORTED_WITHIN_MS = patience(5_000);

const inSeconds = (ms: number) => ms / 1000;

/** QEMU is gone, though the task is not deleted yet. */
function assertVmEnded(id: string): void {
  assert.deepEqual(sandboxProcesses(id).filter(({ role }) => role === "qemu"), []);
}

function assertKilled(exit: Event): void {
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
}

e2e("a guest that stops answering is reported dead without any call", async ({ newId }) => {
  using _ = configured({ guest_timeout_seconds: inSeconds(GUEST_TIMEOUT_MS) });
  await using events = await Events.open();
  const id = newId();
  await startDetached(id);
  // Longer than the timeout: it answers.
  await delay(GUEST_TIMEOUT_MS + 1_000);
  assert.equal((await task(id))?.status, "RUNNING");
  kill(qemuOf(id), "SIGSTOP");
  assertKilled(
    await events.wait("/tasks/exit", id, GUEST_TIMEOUT_MS + REPORTED_WITHIN_MS),
  );
  assertVmEnded(id);
  assert.equal(logLines(id).filter((line) => line.includes("guest has not answered")).length, 1);
  await removeContainer(id);
});

e2e(
  "a paused container, and a host that was stopped, are not taken for dead",
  async ({ newId }) => {
    using _ = configured({ guest_timeout_seconds: inSeconds(GUEST_TIMEOUT_MS) });
    const id = newId();
    await startDetached(id);
    await ctrOk("task", "pause", id);
    await delay(GUEST_TIMEOUT_MS + 2_000);
    assert.equal((await task(id))?.status, "PAUSED");
    // The shim and its VM are stopped together, as a frozen host stops them.
    const pids = [shimOf(id), qemuOf(id)];
    for (const pid of pids) kill(pid, "SIGSTOP");
    await delay(GUEST_TIMEOUT_MS + 1_000);
    for (const pid of pids) kill(pid, "SIGCONT");
    await ctrOk("task", "resume", id);
    await delay(GUEST_TIMEOUT_MS);
    assert.equal((await task(id))?.status, "RUNNING");
    await ctrOk("task", "rm", "--force", id);
    await removeContainer(id);
  },
);

/**
 * Starts a container whose init no SIGKILL ends: it waits for virtiofsd, which is stopped. The
 * guest acknowledges the SIGKILL and reports no exit. The loop opens a file without a program of
 * its own: an open waits for its answer whatever comes, while the page of a program that is read
 * may be given up.
 */
async function startUnkillable(id: string, directory: string): Promise<void> {
  const script = ": >/volume/started; while :; do : >/volume/x; done";
  await ctrOk(...runArguments(id, ["sh", "-c", script], {
    flags: [
      "-d",
      ...["--mount", `type=bind,src=${directory},dst=/volume,options=rbind:rw`],
    ],
  }));
  await until("start of the loop", patience(30_000), () => isThere(`${directory}/started`) || null);
  for (const { pid, role } of sandboxProcesses(id)) {
    if (role === "virtiofsd") kill(pid, "SIGSTOP");
  }
  await delay(1_000);
}

/** Makes a directory for a volume. */
function volume(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ prefix: "qemubox-liveness-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

e2e("an init that SIGKILL does not end is ended with its VM at the deadline", async ({ newId }) => {
  using _ = configured({ kill_timeout_seconds: inSeconds(KILL_TIMEOUT_MS) });
  using directory = volume();
  await using events = await Events.open();
  const id = newId();
  await startUnkillable(id, directory.path);
  const killedAt = performance.now();
  await ctrOk("task", "kill", "--signal", "SIGKILL", id);
  assertKilled(await events.wait("/tasks/exit", id, KILL_TIMEOUT_MS + REPORTED_WITHIN_MS));
  assert.ok(performance.now() - killedAt >= KILL_TIMEOUT_MS, "the container has exited itself");
  assertVmEnded(id);
  assertDeadlinePassed(id);
  await removeContainer(id);
});

e2e("ctr task rm -f of such a container returns within 30 s by default", async ({ newId }) => {
  using directory = volume();
  const id = newId();
  await startUnkillable(id, directory.path);
  assert.equal((await removeByForce(id)).code, 0);
  assertDeadlinePassed(id);
  await allEnded(id, REPORTED_WITHIN_MS);
  await removeContainer(id);
});

/** Calls that a guest which does not answer cannot serve. They end with its VM. */
function callsInVain(id: string): Promise<readonly { name: string; code: number }[]> {
  return Promise.all([
    ["exec", "--exec-id", "late", id, "true"],
    ["pause", id],
    ["checkpoint", "--image-path", "/run/e2e-checkpoint", id],
  ].map(async (args) => ({ name: args[0]!, code: (await ctr("task", ...args)).code })));
}

e2e("ctr task rm -f returns within 30 s when QEMU or a helper is stopped", async ({ newId }) => {
  for (const role of ["qemu", "virtiofsd", "vhost-device-vsock"] as const) {
    const id = newId(role.replaceAll(/\W.*/g, ""));
    await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
    const found = sandboxProcesses(id).filter((one) => one.role === role);
    for (const { pid } of found) kill(pid, "SIGSTOP");
    const calls = role === "qemu" ? callsInVain(id) : Promise.resolve([]);
    await removeByForce(id);
    for (const { name, code } of await within("calls", REPORTED_WITHIN_MS, calls)) {
      assert.notEqual(code, 0, name);
    }
    await allEnded(id, REPORTED_WITHIN_MS);
    await removeContainer(id);
  }
});
