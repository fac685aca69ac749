import type { LayerFile } from "./erofs_plan.ts";

/** Where the parts of a disk are. Bytes. */
export interface LayerRange {
  readonly offset: number;
  readonly length: number;
}

const SECTOR_BYTES = 512;

/** Where each layer lies on the disk that is made of all of them, one after the other. */
export function layerRanges(layers: readonly LayerFile[]): LayerRange[] {
  let end = 0;
  return layers.map(({ bytes }) => {
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
export function layerDescriptor(layers: readonly LayerFile[]): string {
  const extents = layers.map(({ bytes }, index) =>
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

/** What the image of a layer is called beside the descriptor. */
export function layerName(index: number): string {
  return `layer-${index}`;
}

/** Makes the disk of these layers in a folder. @returns the descriptor's path. */
export function makeLayerDisk(layers: readonly LayerFile[], folder: string): string {
  layers.forEach(({ path }, index) => Deno.symlinkSync(path, `${folder}/${layerName(index)}`));
  const descriptor = `${folder}/layers.vmdk`;
  Deno.writeTextFileSync(descriptor, layerDescriptor(layers), { createNew: true, mode: 0o600 });
  return descriptor;
}
