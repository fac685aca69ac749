import { isThere, listIfPresent, messageOf, removeIfPresent } from "../../base/mod.ts";
import { isProcess, isSystemError, type Pid, Poller, SIG, type System } from "../../ffi/mod.ts";
import { removeIdLease } from "../../qemu/mod.ts";
import {
  CID_DIRECTORY,
  CID_INTENT,
  runDirectoryOf,
  USER_DIRECTORY,
  USER_INTENT,
  vmName,
} from "../base/names.ts";
import type { OnHost } from "../base/on_host.ts";
import { removeDirectory } from "../base/remove_directory.ts";
import { type LeaseFacts, removeLease } from "../lease/lease.ts";
import { hookState, hostHooks } from "../plan/host_hooks.ts";
import { readSpec } from "../plan/oci.ts";
import { endHooks } from "../sandbox/hooks.ts";
import { removeHostCgroup } from "../sandbox/host_cgroup.ts";
import { undoNetwork } from "../sandbox/network.ts";

/** Timeout of killed processes to exit. Milliseconds. */
const KILL_TIMEOUT_MS = 3_000;

/**
 * Kills and removes everything that a lease names, from the lease alone: for `delete` in a fresh
 * process after the shim was killed, and for sandboxes that containerd lost and never deletes.
 *
 * @param onHost for a process in its own mount namespace; see OnHost.
 * @returns the failures. Every step is tried.
 */
export async function undoLease(
  system: System,
  facts: LeaseFacts,
  leaseDirectory: string,
  onHost?: OnHost,
): Promise<Error[]> {
  const failures: Error[] = [];
  const attempt = async (step: () => void | Promise<void>) => {
    try {
      await step();
    } catch (error) {
      failures.push(error as Error);
    }
  };
  await attempt(() => killAll(system, facts));
  await attempt(() => runEndHooks(system, facts, onHost));
  if (facts.network !== null) {
    failures.push(...await undoNetwork(system, facts.network, facts, onHost));
  }
  await attempt(() => removeHostCgroup(facts));
  await attempt(() => removeDirectory(system, facts.runtimeDir));
  await attempt(() => removeIfPresent(facts.socketPath));
  const { cidLock, userLock } = facts;
  await attempt(() => releaseId("CID", cidLock, CID_INTENT, CID_DIRECTORY, facts, system));
  await attempt(() => releaseId("user id", userLock, USER_INTENT, USER_DIRECTORY, facts, system));
  if (failures.length === 0) await attempt(() => removeLease(leaseDirectory));
  return failures;
}

/**
 * Returns the living processes of a sandbox: those in the lease, checked by start time, and those
 * of intents that never became facts. The latter are found by a mark that they carry: the shim's
 * socket in its arguments, the VM's name in the environment of QEMU and its helpers.
 */
export function processesOf(facts: LeaseFacts, self: Pid): Pid[] {
  const pids = new Set<number>();
  for (const { pid, startTime } of [...(facts.shim ? [facts.shim] : []), ...facts.processes]) {
    if (isProcess(pid as Pid, startTime)) pids.add(pid);
  }
  const environment = `QEMUBOX_VM=${vmName(facts)}\0`;
  for (const entry of Deno.readDirSync("/proc")) {
    const pid = Number(entry.name);
    if (!Number.isInteger(pid)) continue;
    if (
      procFile(pid, "environ").includes(environment) ||
      procFile(pid, "cmdline").includes(facts.socketPath)
    ) pids.add(pid);
  }
  pids.delete(self);
  return [...pids] as Pid[];
}

/** Runs the poststop hooks of the container, if its bundle still exists: they are in it. */
async function runEndHooks(system: System, facts: LeaseFacts, onHost?: OnHost): Promise<void> {
  const { hooksOf: bundle, id } = facts;
  if (bundle === null || !isThere(`${bundle}/config.json`)) return;
  const spec = readSpec(bundle);
  const hooks = hostHooks(spec);
  if (hooks === null) return;
  const log = { warn: (message: string) => console.error(`qemubox: ${message}`) };
  await endHooks(hooks, hookState({ id, bundle }, spec), {
    ...{ system, log, onHost, vmName: vmName(facts) },
  });
}

function procFile(pid: number, name: "cmdline" | "environ"): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch {
    return ""; // It has just exited.
  }
}

function releaseId(
  what: string,
  lock: string | null,
  intent: string,
  directoryName: string,
  { intents, runtimeDir }: LeaseFacts,
  system: System,
): void {
  if (lock !== null && !removeIdLease(lock, system)) {
    throw new Error(`${what} lock ${lock} is still held by a process`);
  }
  if (!intents.includes(intent)) return;
  // The id was allocated and not written down: remove all that no process holds.
  const directory = `${runDirectoryOf(runtimeDir)}/${directoryName}`;
  for (const { name } of listIfPresent(directory)) removeIdLease(`${directory}/${name}`, system);
}

/** Kills until none is found: a process may have started another one just before it was killed. */
async function killAll(system: System, facts: LeaseFacts): Promise<void> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  const killed = new Set<Pid>();
  for (;;) {
    // A dead process stays visible until its parent reaps it.
    const pids = processesOf(facts, system.getpid()).filter((pid) => !killed.has(pid));
    if (pids.length === 0) return;
    await kill(system, pids, signal);
    for (const pid of pids) killed.add(pid);
  }
}

async function kill(system: System, pids: readonly Pid[], signal: AbortSignal): Promise<void> {
  using poller = new Poller(system);
  await Promise.all(pids.map(async (pid) => {
    let pidfd;
    try {
      pidfd = system.pidfdOpen(pid);
    } catch (error) {
      if (isSystemError(error, "ESRCH")) return;
      throw error;
    }
    try {
      system.pidfdSendSignal(pidfd, SIG.KILL);
      await poller.wait(pidfd, "readable", signal);
    } catch (error) {
      if (isSystemError(error, "ESRCH")) return;
      throw new Error(`process ${pid} does not exit after SIGKILL: ${messageOf(error)}`);
    } finally {
      system.close(pidfd);
    }
  }));
}
