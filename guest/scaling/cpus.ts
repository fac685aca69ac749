/**
 * The guest's CPUs: those present, and those online. CPUs that are offline at boot wait until they
 * are needed (the kernel's Documentation/core-api/cpu_hotplug.rst).
 *
 * @module
 */
import { type JsonObject } from "../runtime/oci_json.ts";

const CPUS = "/sys/devices/system/cpu";
/** Linux's default CFS period, in microseconds. */
const PERIOD_DEFAULT_US = 100_000;

/** Returns the number of CPUs that are present, and of those that are online. */
export function countCpus(directory: string = CPUS): { present: number; online: number } {
  const count = (name: string): number => listSize(Deno.readTextFileSync(`${directory}/${name}`));
  return { present: count("present"), online: count("online") };
}

/** Brings `count` CPUs online, capped at those present, and takes the others offline. */
export function setOnline(count: number, directory: string = CPUS): void {
  const { present } = countCpus(directory);
  // The first CPU cannot go offline.
  for (let cpu = 1; cpu < present; cpu++) {
    const file = `${directory}/cpu${cpu}/online`;
    const wanted = cpu < count ? "1" : "0";
    if (Deno.readTextFileSync(file).trim() !== wanted) Deno.writeTextFileSync(file, wanted);
  }
}

/**
 * Returns how many CPUs a container with these limits can use: its quota rounded up, Infinity if
 * the quota is removed, null if it does not change.
 *
 * @param resources LinuxResources of the specification
 */
export function wantedCpus({ cpu }: JsonObject): number | null {
  const { quota, period } = (cpu ?? {}) as { quota?: unknown; period?: unknown };
  if (!isInteger(quota)) return null;
  if (quota <= 0) return Infinity;
  const us = isInteger(period) && period > 0 ? period : PERIOD_DEFAULT_US;
  return Math.max(1, Math.ceil(Number(quota) / Number(us)));
}

/** Integers that a number cannot hold are bigints. */
function isInteger(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** Returns the size of a list such as "0-2,5". */
function listSize(list: string): number {
  return list.trim().split(",").reduce((sum, part) => {
    const [first, last = first] = part.split("-").map(Number);
    return sum + last! - first! + 1;
  }, 0);
}
