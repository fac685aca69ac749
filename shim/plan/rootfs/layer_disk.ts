import type { DeviceFile, LayerFile } from "./erofs_plan.ts";

/** Where the parts of a disk are. Bytes. */
export interface LayerRange {
  readonly offset: number;
  readonly length: number;
}

/** A disk is cut into at most this many files; above, they are files of what is shared. */
export const DISK_FILES_MAX = 255;
const SECTOR_BYTES = 512;

/** All files of layers: each layer's image, then its devices. */
export function filesOf(layers: readonly LayerFile[]): DeviceFile[] {
  return layers.flatMap(({ devices = [], ...image }) => [image, ...devices]);
}

/** Where each file lies on the disk that is made of all of them, one after the other. */
export function layerRanges(files: readonly DeviceFile[]): LayerRange[] {
  let end = 0;
  return files.map(({ bytes }) => {
    const offset = end;
    end += bytes;
    return { offset, length: bytes };
  });
}

/**
 * The VMDK descriptor by which QEMU makes one disk of several files (VMware's "Virtual Disk Format
 * 5.0"). The files are called `layer-0`, `layer-1`, … beside it: a descriptor takes no path that is
 * longer than 511 bytes, or has a quotation mark in it.
 *
 * The line above the first extent is a comment on purpose: after an empty line QEMU takes that extent
 * twice, and everything behind it lies elsewhere than it should.
 */
export function layerDescriptor(files: readonly DeviceFile[]): string {
  const extents = files.map(({ bytes }, index) =>
    `RW ${bytes / SECTOR_BYTES} FLAT "${layerName(index)}" 0`
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

/** What the image of a layer, or one of its devices, is called beside the descriptor. */
export function layerName(index: number): string {
  return `layer-${index}`;
}

/** Makes the disk of these files in a folder. @returns the descriptor's path. */
export function makeLayerDisk(files: readonly DeviceFile[], folder: string): string {
  files.forEach(({ path }, index) => Deno.symlinkSync(path, `${folder}/${layerName(index)}`));
  const descriptor = `${folder}/layers.vmdk`;
  Deno.writeTextFileSync(descriptor, layerDescriptor(files), { createNew: true, mode: 0o600 });
  return descriptor;
}
