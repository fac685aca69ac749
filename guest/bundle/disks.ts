import { ifPresent } from "../../base/mod.ts";
import { type DeviceNumbers } from "./block_limits.ts";

/** Serial number of the guest's root disk. */
const ROOT_SERIAL = "root";
/** Block devices, in sysfs. */
const BLOCK_DEVICES = "/sys/block";

/** Returns the device file of the virtio disk with a serial number, or null if there is none. */
export function diskBySerial(serial: string, directory: string = BLOCK_DEVICES): string | null {
  for (const { name } of Deno.readDirSync(directory)) {
    if (readLine(`${directory}/${name}/serial`) === serial) return `/dev/${name}`;
  }
  return null;
}

/** Returns the container's disks: its layers and its writable layer. */
export function ownDisks(directory: string = BLOCK_DEVICES): DeviceNumbers[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`)
    .flatMap((path) => {
      const serial = readLine(`${path}/serial`);
      if (serial === null || serial === ROOT_SERIAL) return [];
      const [major, minor] = (readLine(`${path}/dev`) ?? "").split(":").map(Number);
      return major! >= 0 && minor! >= 0 ? [{ major: major!, minor: minor! }] : [];
    });
}

/** Returns the text of an attribute, or null if the device lacks it: only virtio disks have all. */
function readLine(path: string): string | null {
  return ifPresent(() => Deno.readTextFileSync(path).trim());
}
