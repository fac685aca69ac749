import { type JsonObject } from "../runtime/oci_json.ts";

/** A block device's numbers. */
export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

/** The lists of blockIO that limit a device each (runtime-spec, config-linux.md, "Block IO"). */
const THROTTLES = [
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
] as const;

/** What 0, which takes a limit away and cgroup v2 does not know, becomes: no disk is as fast. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** Cheap to ask of a specification that mostly says nothing of the kind. */
export function mentionsThrottles(json: string): boolean {
  return json.includes('"throttle');
}

/**
 * Limits of devices, whose numbers are the host's, as limits of the container's own disks: each gets the
 * least that was given for any device. Pure.
 *
 * @param resources LinuxResources of the specification.
 */
export function limitsOfOwnDisks(
  resources: JsonObject,
  disksOf: () => readonly DeviceNumbers[],
): JsonObject {
  const blockIO = objectIn(resources["blockIO"]);
  if (blockIO === null) return resources;
  const disks = disksOf();
  const own = { ...blockIO };
  for (const throttle of THROTTLES) {
    const given = blockIO[throttle];
    if (!Array.isArray(given)) continue;
    const rates = given.map((one) => Number(objectIn(one)?.["rate"])).filter((rate) => rate >= 0);
    const limits = rates.map((rate) => rate === 0 ? NO_LIMIT : rate);
    own[throttle] = limits.length === 0
      ? []
      : disks.map((disk) => ({ ...disk, rate: Math.min(...limits) }));
  }
  return { ...resources, blockIO: own };
}

function objectIn(value: unknown): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as JsonObject
    : null;
}
