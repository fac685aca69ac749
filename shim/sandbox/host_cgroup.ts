import { isThere } from "../../ffi/mod.ts";
import type { Lease, LeaseFacts } from "../lease/lease.ts";
import type { Logger } from "../base/log.ts";
import { enterSystemdScope, type SystemdScope, systemdScopeOf } from "./systemd_scope.ts";

/** Where cgroup v2 is mounted, when the host has no other: cgroups(7). */
const CGROUP_ROOT = "/sys/fs/cgroup";
const SYSTEMD_FOLDER = "/run/systemd/system";
/** What a lease calls a cgroup that is about to be made; its path follows. */
const CGROUP_INTENT = "cgroup ";
/** The kernel needs a moment to let go of processes that have ended. */
const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 20;

/**
 * The cgroup of a specification, as a path below the root; null when it names none that has a parent,
 * or names it as systemd does. Pure.
 */
export function hostCgroupOf(cgroupsPath: string | undefined): string | null {
  if (cgroupsPath === undefined || !cgroupsPath.startsWith("/")) return null;
  if (cgroupsPath.includes(":")) return null;
  const parts = cgroupsPath.split("/").filter((part) => part !== "");
  // "/name" is what clients say that want no parent: it would be one for all.
  if (parts.length < 2 || parts.some((part) => part === "." || part === "..")) return null;
  return `/${parts.join("/")}`;
}

/** What making a cgroup rests on. */
export interface CgroupHost {
  readonly lease: Pick<Lease, "intend" | "record" | "facts">;
  readonly log: Pick<Logger, "debug" | "warn">;
  /** This process. */
  readonly pid: number;
  readonly root?: string;
  /** Is there where systemd runs: sd_booted(3). */
  readonly systemdFolder?: string;
}

/**
 * Makes the host's cgroup of a sandbox and moves this process into it, so that what it spawns is born
 * there. No limit is written: the specification's are the container's, and hold in the guest. Nothing
 * happens without cgroup v2. What fails is told, and the container runs without.
 */
export async function enterHostCgroup(
  cgroupsPath: string | undefined,
  host: CgroupHost,
): Promise<void> {
  const { log, root = CGROUP_ROOT, systemdFolder = SYSTEMD_FOLDER } = host;
  if (!isThere(`${root}/cgroup.controllers`)) {
    return log.debug("host cgroup: the host has no cgroup v2");
  }
  const path = hostCgroupOf(cgroupsPath);
  if (path !== null) return makeCgroup(path, root, host);
  const scope = systemdScopeOf(cgroupsPath);
  if (scope !== null && isThere(systemdFolder)) return await enterScope(scope, host);
  log.debug(`host cgroup: ${cgroupsPath ?? "none"} is not used`);
}

/** The scope is systemd's, and goes with the last process in it: there is nothing to undo. */
async function enterScope(scope: SystemdScope, { log, pid }: CgroupHost): Promise<void> {
  try {
    // A second try for the same sandbox finds this process in there already.
    const isIn = Deno.readTextFileSync(`/proc/${pid}/cgroup`).trimEnd().endsWith(`/${scope.unit}`);
    if (!isIn) await enterSystemdScope(scope, pid);
  } catch (error) {
    log.warn(`host cgroup: ${(error as Error).message}; the VM stays where containerd is`);
  }
}

function makeCgroup(path: string, root: string, { lease, log, pid }: CgroupHost): void {
  // A second try, as above.
  if (lease.facts.cgroups.length > 0) return;
  const made = missingFolders(root, path);
  // One that is there is somebody else's, and may have limits for something else.
  if (made.length === 0) return log.warn(`host cgroup ${path} is there already: not used`);
  const intent = `${CGROUP_INTENT}${JSON.stringify(made)}`;
  lease.intend(intent);
  try {
    for (const folder of made) Deno.mkdirSync(folder);
    Deno.writeTextFileSync(`${root}${path}/cgroup.procs`, String(pid));
  } catch (error) {
    log.warn(`host cgroup ${path}: ${(error as Error).message}; the VM stays where containerd is`);
  }
  lease.record(intent, { cgroups: made });
}

/** Moves this process out of what the lease names, so that it can be removed. */
export function leaveHostCgroup({ cgroups }: LeaseFacts, pid: number, root = CGROUP_ROOT): void {
  if (cgroups.length === 0) return;
  Deno.writeTextFileSync(`${root}/cgroup.procs`, String(pid));
}

/**
 * Removes what a lease names, or was about to make. A parent in which others are stays.
 * @throws Error for the sandbox's own when a process stays in it.
 */
export async function removeHostCgroup({ cgroups, intents }: LeaseFacts): Promise<void> {
  const intended = intents.filter((intent) => intent.startsWith(CGROUP_INTENT))
    .flatMap((intent) => JSON.parse(intent.slice(CGROUP_INTENT.length)) as string[]);
  const [own, ...parents] = [...cgroups, ...intended].reverse();
  if (own === undefined) return;
  for (let attempt = 1; !removed(own); attempt++) {
    if (attempt === REMOVE_TRIES) throw new Error(`${own} still has processes`);
    await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
  }
  for (const parent of parents) if (!removed(parent)) return;
}

/** rmdir(2), which takes a cgroup with its files, and none with processes or cgroups in it. */
function removed(folder: string): boolean {
  try {
    Deno.removeSync(folder);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    return false;
  }
}

/** The folders of a path that are not there, the outermost first. */
function missingFolders(root: string, path: string): string[] {
  const parts = path.slice(1).split("/");
  return parts.map((_, index) => `${root}/${parts.slice(0, index + 1).join("/")}`)
    .filter((folder) => !isThere(folder));
}
