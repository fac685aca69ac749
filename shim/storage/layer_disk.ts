import type { DeviceFile } from "../plan/rootfs/erofs_plan.ts";
import { layerDescriptor } from "../plan/rootfs/layer_disk.ts";

/** The disk that joins files: its VMDK descriptor, and the files, whose descriptors QEMU gets. */
export interface LayerDisk {
  readonly path: string;
  readonly extents: readonly string[];
}

/** Makes the disk that joins these files, with its descriptor in `directory`. */
export function makeLayerDisk(files: readonly DeviceFile[], directory: string): LayerDisk {
  const path = `${directory}/layers.vmdk`;
  Deno.writeTextFileSync(path, layerDescriptor(files), { createNew: true, mode: 0o600 });
  return { path, extents: files.map((file) => file.path) };
}
