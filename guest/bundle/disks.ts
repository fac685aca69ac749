import { type DeviceNumbers } from "./block_limits.ts";

/** The disk that the guest itself runs from. */
const ROOT_SERIAL = "root";
/** Block devices, in sysfs. */
const BLOCK_DEVICES = "/sys/block";

/** The device file of the virtio disk that has a serial number, null when there is none. */
export function diskBySerial(serial: string, folder: string = BLOCK_DEVICES): string | null {
  for (const { name } of Deno.readDirSync(folder)) {
    if (readLine(`${folder}/${name}/serial`) === serial) return `/dev/${name}`;
  }
  return null;
}

/** The disks that are the container's: its layers, and what it writes to. */
export function ownDisks(folder: string = BLOCK_DEVICES): DeviceNumbers[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`).flatMap((path) => {
    const serial = readLine(`${path}/serial`);
    if (serial === null || serial === ROOT_SERIAL) return [];
    const [major, minor] = (readLine(`${path}/dev`) ?? "").split(":").map(Number);
    return major! >= 0 && minor! >= 0 ? [{ major: major!, minor: minor! }] : [];
  });
}

function readLine(path: string): string | null {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return null; // no virtio disk
  }
}
