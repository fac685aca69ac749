/** Block devices, in sysfs. */
const BLOCK_DEVICES = "/sys/block";

/** The device file of the virtio disk that has a serial number, null when there is none. */
export function diskBySerial(serial: string, folder: string = BLOCK_DEVICES): string | null {
  for (const { name } of Deno.readDirSync(folder)) {
    if (readSerial(`${folder}/${name}/serial`) === serial) return `/dev/${name}`;
  }
  return null;
}

function readSerial(path: string): string | null {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return null; // no virtio disk
  }
}
