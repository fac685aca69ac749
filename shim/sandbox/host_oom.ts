import { dirname } from "node:path";
import { readIfPresent } from "../../base/mod.ts";
import { CGROUP_ROOT } from "./host_cgroup.ts";

/** Where to look; tests have their own. */
export interface HostOomPlaces {
  readonly root?: string;
  /** The cgroup of this process, and so of its sandbox: cgroups(7). */
  readonly self?: string;
}

/**
 * Returns a function that says what the host's OOM killer has done to the sandbox's processes since
 * this call; null: nothing, or the host has no cgroup v2, by which one could tell. The counters are
 * those of the kernel's Documentation/admin-guide/cgroup-v2.rst, `memory.events`.
 */
export function watchHostOom(
  { root = CGROUP_ROOT, self = "/proc/self/cgroup" }: HostOomPlaces = {},
): () => string | null {
  const path = /^0::(\/.+)$/m.exec(readIfPresent(self) ?? "")?.[1] ?? null;
  if (path === null) return () => null;
  const killed = () => counter(`${root}${path}/memory.events`, "oom_kill");
  const limits = ancestors(path).map((one) => ({ path: one, before: limitMet(root, one) }));
  const before = killed();
  return () => {
    if (killed() <= before) return null;
    const limit = limits.find((one) => limitMet(root, one.path) > one.before);
    if (limit === undefined) return "the host's OOM killer: the host has no memory left";
    const max = readIfPresent(`${root}${limit.path}/memory.max`)?.trim() ?? "";
    return `the host's OOM killer: cgroup ${limit.path} has reached its memory.max of ${max} ` +
      "bytes, raise it";
  };
}

/** A cgroup and those above it, without the root, which has no limit. */
function ancestors(path: string): string[] {
  return path === "/" ? [] : [path, ...ancestors(dirname(path))];
}

/** How often a cgroup's own limit was met and nothing could be freed. */
function limitMet(root: string, path: string): number {
  return counter(`${root}${path}/memory.events.local`, "oom");
}

/** Returns a counter of a flat-keyed file; 0 without the file. */
function counter(file: string, name: string): number {
  const text = readIfPresent(file) ?? "";
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}
