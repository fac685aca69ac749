import { isJsonObject, type JsonObject } from "../runtime/oci_json.ts";

/** A block device's numbers. */
export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

/** The lists of blockIO with one limit per device (runtime-spec, config-linux.md, "Block IO"). */
const THROTTLES = [
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
] as const;

/** Replaces 0, which removes a limit and which cgroup v2 does not know: no disk is as fast. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * Turns limits of devices, whose numbers are the host's, into limits of the container's own disks:
 * each gets the lowest limit of any device. Returns `resources` itself if it has none. Pure.
 *
 * @param resources LinuxResources of the specification
 */
export function limitsOfOwnDisks(
  resources: JsonObject,
  disksOf: () => readonly DeviceNumbers[],
): JsonObject {
  const blockIO = resources["blockIO"];
  if (!isJsonObject(blockIO)) return resources;
  const throttles = THROTTLES.filter((throttle) => Array.isArray(blockIO[throttle]));
  if (throttles.length === 0) return resources;
  const disks = disksOf();
  const own: Record<string, unknown> = { ...blockIO };
  for (const throttle of throttles) {
    const rate = lowestRate(blockIO[throttle] as readonly unknown[]);
    own[throttle] = rate === null ? [] : disks.map((disk) => ({ ...disk, rate }));
  }
  return { ...resources, blockIO: own };
}

/** Returns the lowest rate, exact up to 2^64 - 1, or null if there is none. */
function lowestRate(limits: readonly unknown[]): number | bigint | null {
  const rates = limits
    .map((limit) => isJsonObject(limit) ? limit["rate"] : undefined)
    .map((rate) => typeof rate === "bigint" ? rate : Number(rate))
    .filter((rate) => rate >= 0)
    .map((rate) => rate === 0 ? NO_LIMIT : rate);
  const [first, ...others] = rates;
  if (first === undefined) return null;
  return others.reduce((lowest, rate) => rate < lowest ? rate : lowest, first);
}
