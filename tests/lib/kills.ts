/** Kills a process of a running container and checks what must follow. */

import assert from "node:assert/strict";
import { Events } from "./containerd_events.ts";
import { removeContainer, startDetached } from "./containers.ts";
import { task } from "./ctr.ts";
import { kill, type SandboxProcess, sandboxProcesses } from "./sandbox_processes.ts";
import { patience, until } from "./wait.ts";

/** Within this time containerd must learn that a container was killed. */
export const KNOWN_WITHIN_MS = patience(5_000);
export const KILLED_STATUS = 137;

type Victim = (processes: readonly SandboxProcess[]) => SandboxProcess | undefined;

/** Finds each process of a sandbox among all of them. */
export const VICTIMS = {
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
} satisfies Readonly<Record<string, Victim>>;

/** Kills a process of a container; containerd must learn of it, once, and nothing may run on. */
export async function killEndsContainer(id: string, name: keyof typeof VICTIMS): Promise<void> {
  await using events = await Events.open();
  await startDetached(id);
  assert.equal((await task(id))?.status, "RUNNING");
  const victim = VICTIMS[name](sandboxProcesses(id));
  assert(victim !== undefined, `${name} does not run`);
  const exits = () => events.of(id).filter(({ topic }) => topic === "/tasks/exit");
  assert.deepEqual(exits(), [], "the container exited before anything was killed");

  kill(victim.pid, "SIGKILL");
  const killedAt = performance.now();
  const left = () => KNOWN_WITHIN_MS - (performance.now() - killedAt);
  const exit = await events.wait("/tasks/exit", id, left());
  assert.equal(exit.body["exit_status"], KILLED_STATUS);
  await until("exit of the task in ctr task ls", left(), async () => {
    const line = await task(id);
    return line === null || line.status === "STOPPED" ? true : null;
  });
  assert.deepEqual(
    sandboxProcesses(id).filter(({ role }) => role !== "shim"),
    [],
    "processes of the VM are left before the task is removed",
  );

  await removeContainer(id);
  await events.wait("/tasks/delete", id, KNOWN_WITHIN_MS);
  assert.equal(exits().length, 1, JSON.stringify(events.of(id)));
}
