import { mountsOf, notUnderstood, plainType } from "./mount_templates.ts";
import { idsAreMapped, splitLayers } from "./rootfs_plan.ts";
import { badRootfs, type SnapshotMount } from "./snapshot_mount.ts";

/**
 * EROFS layers from a snapshotter's mounts. The files go into the VM as they are: the host neither
 * mounts nor reads them. The same holds for the snapshot's writable image, if it has one.
 *
 * containerd's EROFS snapshotter mounts each layer at `<snapshot>/fs`, beside its image
 * `<snapshot>/layer.erofs`, and hands over an overlay of these directories. From containerd 2.2 on
 * it hands over the images themselves, as mounts of type `erofs`, and after them an overlay whose
 * options are templates: `{{ overlay 0 2 }}` are the mounts of these numbers (containerd's
 * docs/mounts.md). With its option `default_size` the first mount is an ext4 image, `rwlayer.img`,
 * and the overlay's upper directory is `{{ mount 0 }}/upper`.
 */

/** The image of one layer. */
export interface LayerFile {
  readonly path: string;
  readonly bytes: number;
  /** Further devices of the image, in order: the image is the index of their data. */
  readonly devices?: readonly DeviceFile[];
}

/** A file with the data of an image. */
export type DeviceFile = Omit<LayerFile, "devices">;

/** The parts of a root file system. */
export interface ErofsRootfs {
  /** Top-most first. */
  readonly layers: readonly LayerFile[];
  /** The snapshot's ext4 image that the container writes to; null: it has none. */
  readonly writable: string | null;
}

/** Questions of the planner to the host. */
export interface LayerProbe {
  /** The size of a regular file; null: there is none. */
  fileBytes(path: string): number | null;
  /** Whether a directory is empty or absent. */
  isEmptyDirectory(path: string): boolean;
}

const SECTOR_BYTES = 512;
const LAYER_IMAGE = "layer.erofs";
/** The directory that the guest writes to in the snapshot's image (guest.proto, Writable). */
const UPPER_DIRECTORY = /^(\{\{[^{}]*\}\})\/upper$/;

/**
 * Returns the layers of a root file system; null: not all are EROFS images, and they can be
 * mounted.
 *
 * @throws RefusedError `invalid` for EROFS images that can neither be used this way nor mounted on
 * the host.
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
  // A device of the host is not a layer of a snapshot.
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
    const image = mounts.length > 1 ? null : besideDirectory(source);
    const layer = image === null ? null : layerAt(image, probe);
    return layer === null ? null : { layers: [layer], writable: null };
  }
  // A snapshot without a parent: everything is in its image.
  if (!options.includes("ro") && UPPER_DIRECTORY.test(source)) {
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
      const image = besideDirectory(part.replaceAll(/\\(.)/g, "$1"));
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
  if (upper === undefined || probe.isEmptyDirectory(upper)) return { layers, writable: null };
  // Files in there belong to the container, and no image has them.
  if (!isRaw) return null;
  throw badRootfs(
    `${upper} has files that were written outside of a VM, and a layer above EROFS images has to ` +
      "be an image as well",
    "give the EROFS snapshotter a default_size, or commit the snapshot",
  );
}

/** The image that a template for the upper directory stands for; null: another kind of template. */
function imageOfUpper(mounts: readonly SnapshotMount[], upper: string): string | null {
  const template = UPPER_DIRECTORY.exec(upper)?.[1];
  if (template === undefined) return null;
  const [image, ...more] = mountsOf(template, mounts);
  if (image === undefined || more.length > 0) throw notUnderstood(upper);
  const { type, source, options } = image;
  if (type !== "ext4" || options.includes("ro") || !source.startsWith("/")) {
    throw badRootfs(
      `${source} of type ${type} (${options.join(",")}) cannot be written to: a snapshot's ` +
        "writable image has to be an ext4 that containerd made",
    );
  }
  return source;
}

/** The image of an `erofs` mount. @throws RefusedError `invalid`: nobody else could mount it. */
function imageOf({ type, source, options }: SnapshotMount, probe: LayerProbe): LayerFile {
  if (plainType(type) !== "erofs") {
    throw badRootfs(`a layer is of type ${type} and not erofs`);
  }
  const unknown = options.find((option) => /^(fsoffset|offset|X-containerd\.)/.test(option));
  if (unknown !== undefined) {
    const fix = unknown.startsWith("X-containerd.dmverity=")
      ? 'its hashes would not be checked in the VM; set dmverity_mode = "off" of the snapshotter'
      : "let the snapshotter make an image of its own for each layer";
    throw badRootfs(`EROFS image ${source} with option ${unknown} is not supported`, fix);
  }
  const devices = options.filter((option) => option.startsWith("device="))
    .map((option) => fileAt(option.slice("device=".length), probe));
  return { ...fileAt(source, probe), ...(devices.length === 0 ? {} : { devices }) };
}

function fileAt(path: string, probe: LayerProbe): DeviceFile {
  const file = layerAt(path, probe);
  if (file !== null) return file;
  throw badRootfs(
    `${path} is not an EROFS image (a file of whole sectors of ${SECTOR_BYTES} bytes)`,
  );
}

/** null: there can be no image. */
function layerAt(path: string, probe: LayerProbe): DeviceFile | null {
  const bytes = probe.fileBytes(path);
  return bytes === null || bytes === 0 || bytes % SECTOR_BYTES !== 0 ? null : { path, bytes };
}

/** Where the image of a directory that the snapshotter mounted would be. */
function besideDirectory(directory: string): string | null {
  return directory.endsWith("/fs") ? `${directory.slice(0, -"fs".length)}${LAYER_IMAGE}` : null;
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
