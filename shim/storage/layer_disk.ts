import type { DeviceFile } from "../plan/rootfs/erofs_plan.ts";
import { layerDescriptor, layerName } from "../plan/rootfs/layer_disk.ts";

/**
 * Makes the disk that joins these files, in `directory`: links to them, and a VMDK descriptor.
 *
 * @returns the descriptor's path.
 */
export function makeLayerDisk(files: readonly DeviceFile[], directory: string): string {
  files.forEach(({ path }, index) => Deno.symlinkSync(path, `${directory}/${layerName(index)}`));
  const descriptor = `${directory}/layers.vmdk`;
  Deno.writeTextFileSync(descriptor, layerDescriptor(files), { createNew: true, mode: 0o600 });
  return descriptor;
}
