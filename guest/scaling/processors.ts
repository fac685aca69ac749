import { type JsonObject } from "../runtime/oci_json.ts";

/**
 * The machine's processors: those that there are, and those that are online. Those that were offline at
 * boot wait until they are wanted (the kernel's Documentation/core-api/cpu_hotplug.rst).
 */

const PROCESSORS = "/sys/devices/system/cpu";
/** Linux's default, in microseconds. */
const PERIOD_DEFAULT_US = 100_000;

/** How many there are, and how many are online. */
export function countProcessors(folder: string = PROCESSORS): { present: number; online: number } {
  const count = (name: string): number => listSize(Deno.readTextFileSync(`${folder}/${name}`));
  return { present: count("present"), online: count("online") };
}

/** Brings processors online or offline until so many are online, as far as there are so many. */
export function setOnline(count: number, folder: string = PROCESSORS): void {
  const { present } = countProcessors(folder);
  // The first one cannot go offline.
  for (let processor = 1; processor < present; processor++) {
    const file = `${folder}/cpu${processor}/online`;
    const wanted = processor < count ? "1" : "0";
    if (Deno.readTextFileSync(file).trim() !== wanted) Deno.writeTextFileSync(file, wanted);
  }
}

/**
 * The processors that a container with these limits can use: its quota rounded up, all for a quota that
 * is taken away. Null when the quota stays as it is.
 *
 * @param resources LinuxResources of the specification.
 */
export function wantedProcessors({ cpu }: JsonObject): number | null {
  const { quota, period } = (cpu ?? {}) as { quota?: unknown; period?: unknown };
  if (typeof quota !== "number") return null;
  if (quota <= 0) return Infinity;
  const us = typeof period === "number" && period > 0 ? period : PERIOD_DEFAULT_US;
  return Math.max(1, Math.ceil(quota / us));
}

/** How many a list such as "0-2,5" names. */
function listSize(list: string): number {
  return list.trim().split(",").reduce((sum, part) => {
    const [first, last = first] = part.split("-").map(Number);
    return sum + last! - first! + 1;
  }, 0);
}
