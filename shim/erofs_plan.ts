import { RootfsError, type SnapshotMount } from "./rootfs_plan.ts";

/**
 * EROFS layers out of the mounts that a snapshotter hands over. They go into the VM as the files
 * that they are: the host neither mounts nor reads them.
 *
 * containerd's EROFS snapshotter has mounted each layer at `<snapshot>/fs`, beside its image
 * `<snapshot>/layer.erofs`, and hands over an overlay of these folders. From containerd 2.2 on it may
 * hand over the images themselves, as mounts of type `erofs`, and below them an overlay whose options
 * are templates: `{{ overlay 0 2 }}` are the mounts of these numbers (containerd's docs/mounts.md).
 */

/** The image of one layer. */
export interface LayerFile {
  readonly path: string;
  readonly bytes: number;
}

/** What the planner asks the host. */
export interface LayerProbe {
  /** The size of a regular file, null when it is none. */
  fileBytes(path: string): number | null;
  /** Whether there is nothing in a folder, or no such folder. */
  isEmptyFolder(path: string): boolean;
}

/** A disk is cut into at most this many layers; above, they go the way of any other snapshotter. */
export const LAYERS_MAX = 255;
const SECTOR_BYTES = 512;
const LAYER_IMAGE = "layer.erofs";
/** What the mount manager of containerd takes off a type, one after the other. */
const PREFIX = /^(format|mkdir)\//;
const TEMPLATE = /^\{\{\s*(overlay|mount)\s+(\d{1,3})(?:\s+(\d{1,3}))?\s*\}\}$/;

/**
 * The layers of a root file system, top-most first; null when they are not all EROFS images, or more
 * than fit.
 *
 * @throws RootfsError for EROFS mounts that cannot be had this way, nor by mounting them on the host.
 */
export function planErofs(
  mounts: readonly SnapshotMount[],
  probe: LayerProbe,
): LayerFile[] | null {
  const last = mounts.at(-1);
  if (last === undefined || mounts.some(({ target }) => target)) return null;
  const type = plainType(last.type);
  const paths = type === "overlay"
    ? overlayLayers(mounts, last.options, probe)
    : mounts.length > 1
    ? null
    : type === "erofs"
    ? [imageOf(last)]
    : isBind(last)
    ? [besideFolder(last.source)]
    : null;
  if (paths === null || paths.length > LAYERS_MAX) return null;
  const layers: LayerFile[] = [];
  for (const path of paths) {
    const bytes = path === null ? null : probe.fileBytes(path);
    if (path === null || bytes === null || bytes === 0 || bytes % SECTOR_BYTES !== 0) return null;
    layers.push({ path, bytes });
  }
  return layers;
}

function overlayLayers(
  mounts: readonly SnapshotMount[],
  options: readonly string[],
  probe: LayerProbe,
): (string | null)[] | null {
  const value = (key: string) =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const upper = value("upperdir");
  // What somebody put there belongs to the container, and is in no image.
  if (upper !== undefined && !upper.includes("{{") && !probe.isEmptyFolder(upper)) return null;
  const lower = value("lowerdir");
  if (lower === undefined) return null;
  return splitLayers(lower).flatMap((part) => {
    if (!part.includes("{{")) return [besideFolder(part.replaceAll(/\\(.)/g, "$1"))];
    return numbersOf(part, mounts.length - 1).map((number) => imageOf(mounts[number]!));
  });
}

/** The mounts that a template stands for, in the order of the layers. */
function numbersOf(part: string, count: number): number[] {
  const [, what, from, to] = TEMPLATE.exec(part.trim()) ?? [];
  const [first, last] = [Number(from), Number(to ?? from)];
  if (what === undefined || (what === "mount") !== (to === undefined)) {
    throw new RootfsError(`root file system: template ${JSON.stringify(part)} is not understood`);
  }
  if (first >= count || last >= count) {
    throw new RootfsError(`root file system: template ${part} names a mount that is not there`);
  }
  const step = first <= last ? 1 : -1;
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, index) => first + index * step);
}

/** The image that an `erofs` mount mounts. */
function imageOf({ type, source, options }: SnapshotMount): string {
  if (plainType(type) !== "erofs") {
    throw new RootfsError(`root file system: a layer is of type ${type} and not erofs`);
  }
  const device = options.find((option) => /^(device|fsoffset|offset)=/.test(option));
  if (device !== undefined) {
    throw new RootfsError(
      `root file system: EROFS image ${source} with option ${device} is not supported; ` +
        "let the snapshotter make an image of its own for each layer",
    );
  }
  return source;
}

/** Where the image of a folder that the snapshotter has mounted would be. */
function besideFolder(folder: string): string | null {
  return folder.endsWith("/fs") ? `${folder.slice(0, -"fs".length)}${LAYER_IMAGE}` : null;
}

function plainType(type: string): string {
  const rest = type.replace(PREFIX, "");
  return rest === type ? type : plainType(rest);
}

function isBind({ type, options }: SnapshotMount): boolean {
  return type === "bind" || options.some((option) => option === "bind" || option === "rbind");
}

/** Splits at colons that no backslash escapes and that are in no template. */
function splitLayers(layers: string): string[] {
  return layers.split(/(?<!\\):/);
}
