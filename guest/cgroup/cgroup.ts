import { type Poller, type System, SystemError } from "../../ffi/mod.ts";
import { type CgroupMetrics, readMetrics } from "./cgroup_metrics.ts";
import { freeze, thaw } from "./freezer.ts";
import { OomWatch } from "./oom_watch.ts";
import { isInVfork } from "./vfork.ts";

/** Where cgroup v2 is mounted in the guest. */
export const CGROUP_ROOT = "/sys/fs/cgroup";

/** What containers need to know of cgroups: a seam, because a test's cgroup is the host's. */
export interface Cgroups {
  /** The cgroup of process `pid`, null when it is not known. */
  of(pid: number): string | null;
  /** The processes in `cgroup` and below it. Empty when the cgroup is gone. */
  processes(cgroup: string): number[];
  /** SIGKILLs everything in `cgroup` and below it; nothing when it is gone. */
  kill(cgroup: string): void;
  /** Freezes everything in `cgroup` and below it, or nothing when `signal` aborts. */
  freeze(cgroup: string, signal: AbortSignal): Promise<void>;
  /** Undoes `freeze`; nothing when it is gone. */
  thaw(cgroup: string): void;
  /** Calls `onKill` for each time that the kernel kills for want of memory. Null: it cannot tell. */
  watchOom(cgroup: string, onKill: () => void): Pick<OomWatch, "check"> & Disposable | null;
  /** What the kernel counts. @throws {Deno.errors.NotFound} it is gone */
  metrics(cgroup: string): CgroupMetrics;
}

/** The guest's. */
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
        if (error instanceof SystemError && error.code === "ENOENT") return null;
        throw error;
      }
    },
    metrics: (cgroup) => readMetrics(cgroup),
  };
}

/** Most folders of one container's cgroup that are looked at; systemd in a container makes some 50. */
const CGROUPS_MAX = 4_096;

/**
 * Hands every controller that the kernel has to the children of `root`, so that crun can limit all of
 * them. All at once, or else one by one: a controller that refuses must not take the others along.
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
    // Which one it was, the next ones tell.
  }
  const refused: string[] = [];
  for (const controller of controllers) {
    try {
      delegate([controller]);
    } catch (error) {
      refused.push(`${controller}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return refused;
}

/** The cgroup of process `pid` as a path under {@linkcode CGROUP_ROOT}, null when it is not known. */
export function cgroupOf(pid: number, procfs: string = "/proc"): string | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${procfs}/${pid}/cgroup`);
  } catch {
    return null; // gone already
  }
  const path = /^0::(\/[^\n]*)$/m.exec(text)?.[1];
  // The root cgroup is vminitd's own: it is no container's.
  return path === undefined || path === "/" ? null : `${CGROUP_ROOT}${path}`;
}

/** The processes in `cgroup` and below it. Empty when the cgroup is gone. */
export function processesIn(cgroup: string): number[] {
  const pids: number[] = [];
  const folders = [cgroup];
  for (let index = 0; index < folders.length && index < CGROUPS_MAX; index++) {
    const folder = folders[index] as string;
    try {
      pids.push(...words(Deno.readTextFileSync(`${folder}/cgroup.procs`)).map(Number));
      for (const { name, isDirectory } of Deno.readDirSync(folder)) {
        if (isDirectory) folders.push(`${folder}/${name}`);
      }
    } catch {
      // Removed in between, or a threaded cgroup, whose processes are listed further up.
    }
  }
  return pids;
}

/** SIGKILLs everything in `cgroup` and below it; nothing when it is gone. */
export function killCgroup(cgroup: string): void {
  try {
    Deno.writeTextFileSync(`${cgroup}/cgroup.kill`, "1", { create: false });
  } catch {
    // crun removed it already.
  }
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
