import {
  isProcess,
  isThere,
  type Pid,
  Poller,
  SIG,
  type System,
  SystemError,
} from "../../ffi/mod.ts";
import { removeCidLease } from "../../qemu/mod.ts";
import { removeHostCgroup } from "../sandbox/host_cgroup.ts";
import { endHooks } from "../sandbox/hooks.ts";
import { type LeaseFacts, removeIfPresent, removeLease } from "../lease/lease.ts";
import { CID_FOLDER, CID_INTENT, runFolderOf, vmName } from "../base/names.ts";
import { undoNetwork } from "../sandbox/network.ts";
import { readSpec } from "../plan/oci.ts";
import { removeFolder } from "../base/remove_folder.ts";
import { hookState, hostHooks } from "../plan/host_hooks.ts";
import type { OnHost } from "../base/on_host.ts";

/** How long killed processes may take to be gone. Milliseconds. */
const KILL_TIMEOUT_MS = 3_000;

/**
 * Ends and removes everything that a lease names, from the lease alone: for `delete` in a fresh
 * process after the shim was killed, and for what a lost containerd never asked to delete.
 *
 * @param onHost for a process in a mount namespace of its own; see OnHost.
 *
 * Every step is tried; what failed comes back, so that the caller can say it.
 */
export async function undoLease(
  system: System,
  facts: LeaseFacts,
  leaseFolder: string,
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
  await attempt(() => removeFolder(system, facts.runtimeDir));
  await attempt(() => removeIfPresent(facts.socketPath));
  await attempt(() => releaseCid(facts, system));
  if (failures.length === 0) await attempt(() => removeLease(leaseFolder));
  return failures;
}

/**
 * The processes of a sandbox that are alive: those the lease names, checked by start time, and
 * those of intents that never became facts, which are known by what they carry: the shim its socket
 * in its arguments, QEMU and its helpers their VM's name in their environment.
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

/** What a container's hooks would have done at its end. Without its bundle they are not known any more. */
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
    return ""; // It has just ended.
  }
}

function releaseCid({ cidLock, intents, runtimeDir }: LeaseFacts, system: System): void {
  if (cidLock !== null && !removeCidLease(cidLock, system)) {
    throw new Error(`${cidLock} is still held by a process`);
  }
  if (!intents.includes(CID_INTENT)) return;
  // Drawn and not written down: it is one of those that nobody holds, and all of those may go.
  const folder = `${runFolderOf(runtimeDir)}/${CID_FOLDER}`;
  for (const { name } of listFolder(folder)) removeCidLease(`${folder}/${name}`, system);
}

function listFolder(folder: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Kills until no more are found: a process that is killed may have started another just before. */
async function killAll(system: System, facts: LeaseFacts): Promise<void> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  const killed = new Set<Pid>();
  for (;;) {
    // One that is dead is still there until its parent has asked for its status.
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
      if (error instanceof SystemError && error.code === "ESRCH") return;
      throw error;
    }
    try {
      system.pidfdSendSignal(pidfd, SIG.KILL);
      await poller.wait(pidfd, "readable", signal);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ESRCH")) {
        throw new Error(`process ${pid} does not end: ${(error as Error).message}`);
      }
    } finally {
      system.close(pidfd);
    }
  }));
}
