import { delay, isThere, messageOf } from "../../base/mod.ts";
import type { Lease, LeaseFacts } from "../lease/lease.ts";
import type { Logger } from "../base/log.ts";
import { enterSystemdScope, type SystemdScope, systemdScopeOf } from "./systemd_scope.ts";

/** Mount point of cgroup v2 on a host without v1: cgroups(7). */
export const CGROUP_ROOT = "/sys/fs/cgroup";
const SYSTEMD_FOLDER = "/run/systemd/system";
/** Intent in a lease for a cgroup about to be made. Its path follows. */
const CGROUP_INTENT = "cgroup ";
/** The kernel takes a moment to release processes that have exited. */
const REMOVE_TRIES = 100;
const REMOVE_RETRY_MS = 20;

/**
 * Returns the cgroup of a specification as a path below the root; null: it names none with a
 * parent, or names it in systemd's form. Pure.
 */
export function hostCgroupOf(cgroupsPath: string | undefined): string | null {
  if (cgroupsPath === undefined || !cgroupsPath.startsWith("/")) return null;
  if (cgroupsPath.includes(":")) return null;
  const parts = cgroupsPath.split("/").filter((part) => part !== "");
  // Clients that want no parent pass "/name", which would be one cgroup for all.
  if (parts.length < 2 || parts.some((part) => part === "." || part === "..")) return null;
  return `/${parts.join("/")}`;
}

/** The surroundings of a host cgroup. */
export interface CgroupHost {
  readonly lease: Pick<Lease, "intend" | "record" | "facts">;
  readonly log: Pick<Logger, "debug" | "warn">;
  /** This process. */
  readonly pid: number;
  readonly root?: string;
  /** Exists where systemd runs: sd_booted(3). */
  readonly systemdFolder?: string;
}

/** The cgroup of a sandbox: a directory that the shim made, or a scope of systemd. */
export type HostCgroup =
  | { readonly kind: "directory"; readonly root: string; readonly path: string }
  | { readonly kind: "scope"; readonly unit: string };

/**
 * Makes the host's cgroup of a sandbox and moves this process into it, so that its children start
 * there. Sets no limit (host_limits.ts does). Does nothing without cgroup v2. Logs a failure, and
 * the container runs without.
 *
 * @returns the cgroup; null if the sandbox has none of its own.
 */
export async function enterHostCgroup(
  cgroupsPath: string | undefined,
  host: CgroupHost,
): Promise<HostCgroup | null> {
  const { log, root = CGROUP_ROOT, systemdFolder = SYSTEMD_FOLDER } = host;
  if (!isThere(`${root}/cgroup.controllers`)) {
    log.debug("host cgroup: the host has no cgroup v2");
    return null;
  }
  const path = hostCgroupOf(cgroupsPath);
  if (path !== null) return makeCgroup(path, root, host);
  const scope = systemdScopeOf(cgroupsPath);
  if (scope !== null && isThere(systemdFolder)) return await enterScope(scope, host);
  log.debug(`host cgroup: ${cgroupsPath ?? "none"} is not used`);
  return null;
}

/** systemd owns the scope and removes it with its last process: there is nothing to undo. */
async function enterScope(
  scope: SystemdScope,
  { log, pid }: CgroupHost,
): Promise<HostCgroup | null> {
  try {
    // A second try for the same sandbox finds this process in it already.
    const isIn = Deno.readTextFileSync(`/proc/${pid}/cgroup`).trimEnd().endsWith(`/${scope.unit}`);
    if (!isIn) await enterSystemdScope(scope, pid);
    return { kind: "scope", unit: scope.unit };
  } catch (error) {
    log.warn(`host cgroup: ${messageOf(error)}, the VM stays in containerd's`);
    return null;
  }
}

function makeCgroup(
  path: string,
  root: string,
  { lease, log, pid }: CgroupHost,
): HostCgroup | null {
  const cgroup = { kind: "directory", root, path } as const;
  // A second try, as above.
  if (lease.facts.cgroups.length > 0) return cgroup;
  const made = missingFolders(root, path);
  // An existing one belongs to another owner, whose limits are for something else.
  if (made.length === 0) {
    log.warn(`host cgroup ${path} already exists, not using it`);
    return null;
  }
  const intent = `${CGROUP_INTENT}${JSON.stringify(made)}`;
  lease.intend(intent);
  try {
    for (const folder of made) Deno.mkdirSync(folder);
    Deno.writeTextFileSync(`${root}${path}/cgroup.procs`, String(pid));
    return cgroup;
  } catch (error) {
    log.warn(`host cgroup ${path}: ${messageOf(error)}, the VM stays in containerd's`);
    return null;
  } finally {
    lease.record(intent, { cgroups: made });
  }
}

/** Moves this process out of the lease's cgroup, so that it can be removed. */
export function leaveHostCgroup({ cgroups }: LeaseFacts, pid: number, root = CGROUP_ROOT): void {
  if (cgroups.length === 0) return;
  Deno.writeTextFileSync(`${root}/cgroup.procs`, String(pid));
}

/**
 * Removes the cgroups that a lease names or intended to make. A parent with other children stays.
 *
 * @throws Error if a process stays in the sandbox's own cgroup.
 */
export async function removeHostCgroup({ cgroups, intents }: LeaseFacts): Promise<void> {
  const intended = intents.filter((intent) => intent.startsWith(CGROUP_INTENT))
    .flatMap((intent) => JSON.parse(intent.slice(CGROUP_INTENT.length)) as string[]);
  const [own, ...parents] = [...cgroups, ...intended].reverse();
  if (own === undefined) return;
  for (let attempt = 1; !removed(own); attempt++) {
    if (attempt === REMOVE_TRIES) throw new Error(`${own} still has processes`);
    await delay(REMOVE_RETRY_MS);
  }
  for (const parent of parents) if (!removed(parent)) return;
}

/** rmdir(2) removes a cgroup with its files, unless it has processes or cgroups in it. */
function removed(folder: string): boolean {
  try {
    Deno.removeSync(folder);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    return false;
  }
}

/** Returns the missing directories of a path, the outermost first. */
function missingFolders(root: string, path: string): string[] {
  const parts = path.slice(1).split("/");
  return parts.map((_, index) => `${root}/${parts.slice(0, index + 1).join("/")}`)
    .filter((folder) => !isThere(folder));
}
