import { mountsOf, notUnderstood, plainType } from "./mount_templates.ts";
import { idsAreMapped, RootfsError, type SnapshotMount } from "./rootfs_plan.ts";

/**
 * EROFS layers out of the mounts that a snapshotter hands over. They go into the VM as the files
 * that they are: the host neither mounts nor reads them. So does the image that the container is to
 * write to, where the snapshot brings one along.
 *
 * containerd's EROFS snapshotter has mounted each layer at `<snapshot>/fs`, beside its image
 * `<snapshot>/layer.erofs`, and hands over an overlay of these folders. From containerd 2.2 on it
 * hands over the images themselves, as mounts of type `erofs`, and below them an overlay whose options
 * are templates: `{{ overlay 0 2 }}` are the mounts of these numbers (containerd's docs/mounts.md). With
 * its option `default_size` the first mount is an ext4 image, `rwlayer.img`, and the overlay's upper
 * folder is `{{ mount 0 }}/upper`.
 */

/** The image of one layer. */
export interface LayerFile {
  readonly path: string;
  readonly bytes: number;
  /** Further devices of the image, in their order: it is the index of what is in them. */
  readonly devices?: readonly DeviceFile[];
}

/** A file with data of an image. */
export type DeviceFile = Omit<LayerFile, "devices">;

/** What a root file system is made of. */
export interface ErofsRootfs {
  /** Top-most first. */
  readonly layers: readonly LayerFile[];
  /** The ext4 image of the snapshot, which the container writes to; null: it brings none. */
  readonly writable: string | null;
}

/** What the planner asks the host. */
export interface LayerProbe {
  /** The size of a regular file, null when it is none. */
  fileBytes(path: string): number | null;
  /** Whether there is nothing in a folder, or no such folder. */
  isEmptyFolder(path: string): boolean;
}

const SECTOR_BYTES = 512;
const LAYER_IMAGE = "layer.erofs";
/** The folder that the guest writes to in the snapshot's image (guest.proto, Writable). */
const UPPER_FOLDER = /^(\{\{[^{}]*\}\})\/upper$/;

/**
 * The layers of a root file system; null when they are not all EROFS images, and can be mounted.
 *
 * @throws RootfsError for EROFS images that cannot be had this way, nor by mounting them on the host.
 */
export function planErofs(
  mounts: readonly SnapshotMount[],
  probe: LayerProbe,
): ErofsRootfs | null {
  const last = mounts.at(-1);
  if (last === undefined || mounts.some(({ target }) => target)) return null;
  const type = plainType(last.type);
  if (type === "overlay") return ofOverlay(mounts, last.options, probe);
  if (isBind({ ...last, type })) return ofBind(mounts, last, probe);
  if (mounts.length > 1 || type !== "erofs") return null;
  // A device of the host is no layer of a snapshot.
  return probe.fileBytes(last.source) === null ? null : {
    layers: [imageOf(last, probe)],
    writable: null,
  };
}

function ofBind(
  mounts: readonly SnapshotMount[],
  { source, options }: SnapshotMount,
  probe: LayerProbe,
): ErofsRootfs | null {
  if (!source.includes("{{")) {
    const image = mounts.length > 1 ? null : besideFolder(source);
    const layer = image === null ? null : layerAt(image, probe);
    return layer === null ? null : { layers: [layer], writable: null };
  }
  // A snapshot without a parent: all that there is is in its image.
  if (!options.includes("ro") && UPPER_FOLDER.test(source)) {
    return { layers: [], writable: imageOfUpper(mounts, source) };
  }
  const images = mountsOf(source, mounts);
  return images.every(isErofs)
    ? { layers: images.map((mount) => imageOf(mount, probe)), writable: null }
    : null;
}

function ofOverlay(
  mounts: readonly SnapshotMount[],
  options: readonly string[],
  probe: LayerProbe,
): ErofsRootfs | null {
  const value = (key: string) =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const lower = value("lowerdir");
  if (lower === undefined) return null;
  const layers: LayerFile[] = [];
  let isRaw = false;
  for (const part of splitLayers(lower)) {
    if (part.includes("{{")) {
      isRaw = true;
      const images = mountsOf(part, mounts);
      if (!images.some(isErofs)) return null;
      layers.push(...images.map((mount) => imageOf(mount, probe)));
    } else {
      const image = besideFolder(part.replaceAll(/\\(.)/g, "$1"));
      const layer = image === null ? null : layerAt(image, probe);
      if (layer === null) return null;
      layers.push(layer);
    }
  }
  if (isRaw) refuseMappedIds(options);
  const upper = value("upperdir");
  if (upper?.includes("{{")) {
    const writable = imageOfUpper(mounts, upper);
    if (writable === null) throw notUnderstood(upper);
    return { layers, writable };
  }
  if (upper === undefined || probe.isEmptyFolder(upper)) return { layers, writable: null };
  // What somebody put there belongs to the container, and is in no image.
  if (!isRaw) return null;
  throw new RootfsError(
    `root file system: something was written to ${upper} outside of a VM, and what lies above EROFS ` +
      "images has to be an image as well: give the EROFS snapshotter a default_size, or commit the snapshot",
  );
}

/** The image that a template for the upper folder stands for; null when it is of another kind. */
function imageOfUpper(mounts: readonly SnapshotMount[], upper: string): string | null {
  const template = UPPER_FOLDER.exec(upper)?.[1];
  if (template === undefined) return null;
  const [image, ...more] = mountsOf(template, mounts);
  if (image === undefined || more.length > 0) throw notUnderstood(upper);
  const { type, source, options } = image;
  if (type !== "ext4" || options.includes("ro") || !source.startsWith("/")) {
    throw new RootfsError(
      `root file system: ${source} of type ${type} (${options.join(",")}) cannot be written to; ` +
        "a snapshot's writable image has to be an ext4, made by containerd",
    );
  }
  return source;
}

/** The image that an `erofs` mount mounts. @throws RootfsError: nobody else could mount it. */
function imageOf({ type, source, options }: SnapshotMount, probe: LayerProbe): LayerFile {
  if (plainType(type) !== "erofs") {
    throw new RootfsError(`root file system: a layer is of type ${type} and not erofs`);
  }
  const unknown = options.find((option) => /^(fsoffset|offset|X-containerd\.)/.test(option));
  if (unknown !== undefined) {
    const mend = unknown.startsWith("X-containerd.dmverity=")
      ? 'its hashes would not be checked in the VM; set dmverity_mode = "off" of the snapshotter'
      : "let the snapshotter make an image of its own for each layer";
    throw new RootfsError(
      `root file system: EROFS image ${source} with option ${unknown} is not supported: ${mend}`,
    );
  }
  const devices = options.filter((option) => option.startsWith("device="))
    .map((option) => fileAt(option.slice("device=".length), probe));
  return { ...fileAt(source, probe), ...(devices.length === 0 ? {} : { devices }) };
}

function fileAt(path: string, probe: LayerProbe): DeviceFile {
  const file = layerAt(path, probe);
  if (file !== null) return file;
  throw new RootfsError(
    `root file system: ${path} is no EROFS image (a file of some sectors of ${SECTOR_BYTES} bytes)`,
  );
}

/** null when no image can be there. */
function layerAt(path: string, probe: LayerProbe): DeviceFile | null {
  const bytes = probe.fileBytes(path);
  return bytes === null || bytes === 0 || bytes % SECTOR_BYTES !== 0 ? null : { path, bytes };
}

/** Where the image of a folder that the snapshotter has mounted would be. */
function besideFolder(folder: string): string | null {
  return folder.endsWith("/fs") ? `${folder.slice(0, -"fs".length)}${LAYER_IMAGE}` : null;
}

function refuseMappedIds(options: readonly string[]): void {
  const mapping = options.find((option) => /^[ug]idmap=/.test(option));
  if (mapping !== undefined) throw idsAreMapped(mapping);
}

function isErofs({ type }: SnapshotMount): boolean {
  return plainType(type) === "erofs";
}

function isBind({ type, options }: SnapshotMount): boolean {
  return type === "bind" || options.some((option) => option === "bind" || option === "rbind");
}

/** Splits at colons that no backslash escapes and that are in no template. */
function splitLayers(layers: string): string[] {
  return layers.split(/(?<!\\):/);
}
