import { extentPath } from "../../../qemu/mod.ts";
import type { DeviceFile, LayerFile } from "./erofs_plan.ts";

/** Where a part of a disk is. Bytes. */
export interface LayerRange {
  readonly offset: number;
  readonly length: number;
}

/** Most files of one disk; more of them go in as files of the share. */
export const DISK_FILES_MAX = 255;
const SECTOR_BYTES = 512;

/** Returns all files of layers: each layer's image, then its devices. */
export function filesOf(layers: readonly LayerFile[]): DeviceFile[] {
  return layers.flatMap(({ devices = [], ...image }) => [image, ...devices]);
}

/** Returns where each file lies on the disk that joins them in order. */
export function layerRanges(files: readonly DeviceFile[]): LayerRange[] {
  let end = 0;
  return files.map(({ bytes }) => {
    const offset = end;
    end += bytes;
    return { offset, length: bytes };
  });
}

/**
 * Returns the VMDK descriptor by which QEMU joins files to one disk (VMware's "Virtual Disk Format
 * 5.0"). QEMU gets the files as open descriptors, by names of its own.
 *
 * The line above the first extent is a comment on purpose: after an empty line QEMU takes that
 * extent twice, and everything behind it lies in the wrong place.
 */
export function layerDescriptor(files: readonly DeviceFile[]): string {
  const extents = files.map(({ bytes }, index) =>
    `RW ${bytes / SECTOR_BYTES} FLAT "${extentPath(index)}" 0`
  );
  return [
    "# Disk DescriptorFile",
    "version=1",
    "CID=fffffffe",
    "parentCID=ffffffff",
    'createType="twoGbMaxExtentFlat"',
    "# Extent description",
    ...extents,
    "",
  ].join("\n");
}

/** The name in the share of a layer's image, or of one of its devices. */
export function layerName(index: number): string {
  return `layer-${index}`;
}
