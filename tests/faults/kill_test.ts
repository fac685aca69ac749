/**
 * Processes of a running container are killed: containerd learns of it soon, and nothing is left
 * once the task is removed.
 */

import assert from "node:assert/strict";
import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import { Events } from "../lib/containerd_events.ts";
import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { until, within } from "../lib/wait.ts";
import {
  fault,
  FOREVER,
  kill,
  removeContainer,
  type SandboxProcess,
  sandboxProcesses,
  startDetached,
} from "./testbed.ts";

/** What containerd is promised. */
const KNOWN_WITHIN_MS = 5_000;
const KILLED_STATUS = 137;
const BOOT_WITHIN_MS = 60_000;
/** The longest that a guest is given to answer one call, and time to end it. */
const FROZEN_WITHIN_MS = 45_000;

type Victim = (processes: readonly SandboxProcess[]) => SandboxProcess | undefined;

const VICTIMS: Readonly<Record<string, Victim>> = {
  "the shim": (all) => all.find(({ role }) => role === "shim"),
  "QEMU": (all) => all.find(({ role }) => role === "qemu"),
  "virtiofsd": (all) => {
    const shim = all.find(({ role }) => role === "shim")!;
    return all.find(({ role, parent }) => role === "virtiofsd" && parent === shim.pid);
  },
  "the process in virtiofsd's sandbox": (all) => {
    const daemons = all.filter(({ role }) => role === "virtiofsd");
    return daemons.find(({ parent }) => daemons.some(({ pid }) => pid === parent));
  },
  "vhost-device-vsock": (all) => all.find(({ role }) => role === "vhost-device-vsock"),
};

for (const [name, find] of Object.entries(VICTIMS)) {
  fault(`SIGKILL of ${name} ends a running container`, async (id) => {
    await using events = await Events.open();
    await startDetached(id);
    assert.equal((await task(id))?.status, "RUNNING");
    const victim = find(sandboxProcesses(id));
    assert(victim !== undefined, `${name} does not run`);

    kill(victim.pid, "SIGKILL");
    const killedAt = performance.now();
    const left = () => KNOWN_WITHIN_MS - (performance.now() - killedAt);
    const exit = await events.wait("/tasks/exit", id, left());
    assert.equal(exit.body["exit_status"], KILLED_STATUS);
    await until("the task's end in ctr task ls", left(), async () => {
      const line = await task(id);
      return line === null || line.status === "STOPPED" ? true : null;
    });
    assert.deepEqual(
      sandboxProcesses(id).filter(({ role }) => role !== "shim"),
      [],
      "processes of the VM are left before the task is removed",
    );

    await removeContainer(id);
    await events.wait("/tasks/delete", id, left());
    assert.equal(events.of(id).filter(({ topic }) => topic === "/tasks/exit").length, 1);
  });
}

fault("a foreground ctr run ends by itself when QEMU is killed", async (id) => {
  await using events = await Events.open();
  const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm"] }));
  await events.wait("/tasks/start", id);
  kill(VICTIMS["QEMU"]!(sandboxProcesses(id))!.pid, "SIGKILL");
  const { code } = await within("the end of ctr run", KNOWN_WITHIN_MS, client);
  assert.equal(code, KILLED_STATUS);
});

fault("SIGTERM of the shim ends a running container", async (id) => {
  await using events = await Events.open();
  const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm"] }));
  await events.wait("/tasks/start", id);
  kill(VICTIMS["the shim"]!(sandboxProcesses(id))!.pid, "SIGTERM");
  const { code } = await within("the end of ctr run", KNOWN_WITHIN_MS, client);
  assert.equal(code, KILLED_STATUS);
  const exit = await events.wait("/tasks/exit", id);
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  fault(`${signal} of the shim while QEMU boots fails ctr run`, async (id) => {
    const client = ctr(...runArguments(id, FOREVER, { flags: ["-d"] }));
    await until("QEMU", BOOT_WITHIN_MS, () => VICTIMS["QEMU"]!(sandboxProcesses(id)) ?? null);
    kill(VICTIMS["the shim"]!(sandboxProcesses(id))!.pid, signal);
    const { code, stderr } = await within("the end of ctr run", KNOWN_WITHIN_MS, client);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^ctr: .+\n$/);
    assert.equal(await task(id), null);
    await removeContainer(id);
  });
}

fault("a container in a VM that no longer moves is ended by SIGKILL", async (id) => {
  await using events = await Events.open();
  await startDetached(id);
  kill(VICTIMS["QEMU"]!(sandboxProcesses(id))!.pid, "SIGSTOP");
  const killing = ctrOk("task", "kill", "--signal", "SIGKILL", id);
  const exit = await events.wait("/tasks/exit", id, FROZEN_WITHIN_MS);
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
  await within("the end of ctr task kill", KNOWN_WITHIN_MS, killing);
  await removeContainer(id);
});

fault("a guest that says it is ready and then no longer moves fails ctr run", async (id) => {
  const client = ctr(...runArguments(id, FOREVER, { flags: ["--rm"] }));
  await until("the guest's word that it is ready", BOOT_WITHIN_MS, () => isReady(id) || null);
  kill(VICTIMS["QEMU"]!(sandboxProcesses(id))!.pid, "SIGSTOP");
  const { code, stderr } = await within("the end of ctr run", FROZEN_WITHIN_MS, client);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^ctr: .*guest did not answer .+ within \d+ m?s.*\n$/);
});

function isReady(id: string): boolean {
  try {
    const log = Deno.readTextFileSync("/var/log/qemubox/console.log");
    return log.includes(`/${id}: ${GUEST_READY_MARKER}\n`);
  } catch {
    return false; // The first line is still to come.
  }
}
