import { messageOf } from "../../base/mod.ts";
import { isSystemError, type Poller, type System } from "../../ffi/mod.ts";
import { type CgroupMetrics, readMetrics } from "./cgroup_metrics.ts";
import { freeze, thaw } from "./freezer.ts";
import { OomWatch } from "./oom_watch.ts";
import { isInVfork } from "./vfork.ts";

/** Where cgroup v2 is mounted in the guest. */
export const CGROUP_ROOT = "/sys/fs/cgroup";

/** What containers need of cgroups. A seam: a test's cgroups are the host's. */
export interface Cgroups {
  /** Returns the cgroup of process `pid`, or null if it is unknown. */
  of(pid: number): string | null;
  /** Returns the processes in `cgroup` and below it. Empty if the cgroup is gone. */
  processes(cgroup: string): number[];
  /** SIGKILLs everything in `cgroup` and below it, unless it is gone. */
  kill(cgroup: string): void;
  /** Freezes everything in `cgroup` and below it, or nothing if `signal` aborts. */
  freeze(cgroup: string, signal: AbortSignal): Promise<void>;
  /** Undoes `freeze`, unless the cgroup is gone. */
  thaw(cgroup: string): void;
  /** Calls `onKill` at each OOM kill. Returns null if the kernel does not report them. */
  watchOom(cgroup: string, onKill: () => void): Pick<OomWatch, "check"> & Disposable | null;
  /** Returns the kernel's statistics. @throws {Deno.errors.NotFound} the cgroup is gone */
  metrics(cgroup: string): CgroupMetrics;
}

/** Returns the guest's cgroups. */
export function guestCgroups(system: System, poller: Poller): Cgroups {
  return {
    of: (pid) => cgroupOf(pid),
    processes: (cgroup) => processesIn(cgroup),
    kill: (cgroup) => killCgroup(cgroup),
    freeze(cgroup, signal) {
      const caught = () => isInVfork(processesIn(cgroup));
      return freeze(system, poller, cgroup, caught, signal);
    },
    thaw: (cgroup) => thaw(cgroup),
    watchOom(cgroup, onKill) {
      try {
        return new OomWatch(system, poller, cgroup, onKill);
      } catch (error) {
        if (isSystemError(error, "ENOENT")) return null;
        throw error;
      }
    },
    metrics: (cgroup) => readMetrics(cgroup),
  };
}

/** Limit of directories read in a container's cgroup; systemd in a container makes some 50. */
const CGROUPS_MAX = 4_096;

/**
 * Delegates every controller of the kernel to the children of `root`, so that crun can set all
 * limits. All at once, or else one by one: a controller that fails must not affect the others.
 *
 * @returns the controllers that could not be delegated, each with the reason
 */
export function delegateControllers(root: string = CGROUP_ROOT): string[] {
  const controllers = words(Deno.readTextFileSync(`${root}/cgroup.controllers`));
  const delegate = (some: readonly string[]): void =>
    Deno.writeTextFileSync(
      `${root}/cgroup.subtree_control`,
      some.map((one) => `+${one}`).join(" "),
    );
  try {
    delegate(controllers);
    return [];
  } catch {
    // The loop below finds out which one it was.
  }
  const refused: string[] = [];
  for (const controller of controllers) {
    try {
      delegate([controller]);
    } catch (error) {
      refused.push(`${controller}: ${messageOf(error)}`);
    }
  }
  return refused;
}

/**
 * Returns the cgroup of process `pid` as a path under {@linkcode CGROUP_ROOT}, or null if the
 * process is gone or in the root cgroup, which is vminitd's own.
 */
export function cgroupOf(pid: number, procfs: string = "/proc"): string | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${procfs}/${pid}/cgroup`);
  } catch {
    return null; // gone: ENOENT or ESRCH (proc(5))
  }
  const path = /^0::(\/[^\n]*)$/m.exec(text)?.[1];
  return path === undefined || path === "/" ? null : `${CGROUP_ROOT}${path}`;
}

/** Returns the processes in `cgroup` and below it. Empty if the cgroup is gone. */
export function processesIn(cgroup: string): number[] {
  const pids: number[] = [];
  const directories = [cgroup];
  for (let index = 0; index < directories.length && index < CGROUPS_MAX; index++) {
    const directory = directories[index] as string;
    try {
      pids.push(...words(Deno.readTextFileSync(`${directory}/cgroup.procs`)).map(Number));
      for (const { name, isDirectory } of Deno.readDirSync(directory)) {
        if (isDirectory) directories.push(`${directory}/${name}`);
      }
    } catch {
      // Removed meanwhile, or a threaded cgroup, whose processes are listed further up.
    }
  }
  return pids;
}

/** SIGKILLs everything in `cgroup` and below it, unless it is gone. */
export function killCgroup(cgroup: string): void {
  try {
    Deno.writeTextFileSync(`${cgroup}/cgroup.kill`, "1", { create: false });
  } catch {
    // crun has removed it already.
  }
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
