import { type PlannedDirectory, withoutTemplates } from "./mount_templates.ts";
import type { RefusedError } from "../../base/refused_error.ts";
import { badRootfs, type SnapshotMount } from "./snapshot_mount.ts";

/**
 * From a snapshotter's mounts to one read-only view of the image.
 *
 * The writable layer of a container lives in its VM, so the host never needs the snapshot's upper
 * directory for writing: an overlay's upper directory becomes its top-most lower one, and every
 * mount becomes read-only. Nothing here touches the system.
 *
 * See the kernel's Documentation/filesystems/overlayfs.rst for the options.
 */

/** One call of mount(2), in order. */
export interface PlannedMount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  /** A bind mount becomes read-only by a remount after it. */
  readonly kind: "bind" | "filesystem";
  /** File-system options, comma separated, as mount(2) takes them. */
  readonly data: string;
  /** Paths in `data` are relative to this directory; absent: they are absolute. */
  readonly workingDirectory?: string;
  /** Directories of the host that the mount needs. */
  readonly directories?: readonly PlannedDirectory[];
}

/** mount(2) copies at most one page of options. */
export const MOUNT_DATA_BYTES_MAX = 4095;

/** Options that are flags of mount(2), not of the file system. Read-only is always set. */
const FLAG_OPTIONS = new Set([
  "ro",
  "rw",
  "bind",
  "rbind",
  "relatime",
  "noatime",
  "nodiratime",
  "nosuid",
  "nodev",
  "noexec",
  "suid",
  "dev",
  "exec",
  "async",
  "defaults",
  "loop",
]);
/** Overlay options that only make sense with a writable upper layer. */
const WRITE_OPTIONS =
  /^(upperdir|workdir)=|^(volatile|index=|nfs_export=|xino=|metacopy=|redirect_dir=)/;

/**
 * Plans the mounts that show the image at `target`. Mounts that only serve the last one lie beside
 * it.
 *
 * @param mounts in containerd's order; each covers the one before it, unless a template names it
 * (mount_templates.ts).
 * @throws RefusedError `invalid` if there is none, or one cannot be mounted read-only.
 */
export function planRootfs(mounts: readonly SnapshotMount[], target: string): PlannedMount[] {
  if (mounts.length === 0) {
    throw badRootfs("containerd handed over no mounts", "run with a snapshotter");
  }
  if (!mounts.some(({ type }) => type.includes("/"))) {
    return mounts.map((mount) => planMount(mount, target));
  }
  const places = mounts.map((_, index) =>
    index === mounts.length - 1 ? target : `${target}-${index}`
  );
  return mounts.map((mount, index) => {
    const { directories, ...plain } = withoutTemplates(mount, places.slice(0, index));
    return {
      ...planMount(plain, places[index]!),
      ...(directories.length > 0 ? { directories } : {}),
    };
  });
}

function planMount(mount: SnapshotMount, target: string): PlannedMount {
  if (mount.target) {
    throw badRootfs(`mount with target ${mount.target} is not supported`);
  }
  if (mount.type === "bind" || mount.options.some((o) => o === "bind" || o === "rbind")) {
    return { source: mount.source, target, type: "bind", kind: "bind", data: "" };
  }
  if (mount.type.includes("/")) {
    throw badRootfs(`mount type ${mount.type} needs containerd's mount manager to prepare it`);
  }
  if (mount.type === "erofs" && mount.options.includes("loop")) {
    throw badRootfs(
      `EROFS image ${mount.source} is not mounted on the host, and these mounts give no other ` +
        "use for it",
    );
  }
  const options = mount.options.filter((option) => !FLAG_OPTIONS.has(option));
  if (mount.type !== "overlay") {
    return {
      source: mount.source,
      target,
      type: mount.type,
      kind: "filesystem",
      data: options.join(","),
    };
  }
  return planOverlay(options, target);
}

function planOverlay(options: readonly string[], target: string): PlannedMount {
  const mapped = options.find((option) => /^[ug]idmap=/.test(option));
  if (mapped !== undefined) throw idsAreMapped(mapped);
  const value = (key: string) =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const upper = value("upperdir");
  const lower = value("lowerdir");
  if (lower === undefined) throw badRootfs("overlay mount has no lowerdir");
  if (upper === undefined && splitLayers(lower).length === 1) {
    return { source: lower, target, type: "bind", kind: "bind", data: "" };
  }
  const kept = options.filter((o) => !WRITE_OPTIONS.test(o) && !o.startsWith("lowerdir="));
  const layers = upper === undefined ? lower : `${escapeColons(upper)}:${lower}`;
  const plan = (list: string): PlannedMount => ({
    source: "overlay",
    target,
    type: "overlay",
    kind: "filesystem",
    data: [`lowerdir=${list}`, ...kept].join(","),
  });
  const whole = plan(layers);
  if (byteLength(whole.data) <= MOUNT_DATA_BYTES_MAX) return whole;
  const { directory, names } = relativeLayers(layers);
  const short = { ...plan(names), workingDirectory: directory };
  if (byteLength(short.data) > MOUNT_DATA_BYTES_MAX) {
    throw badRootfs(
      `the ${splitLayers(layers).length} layers of the image need more than the ` +
        `${MOUNT_DATA_BYTES_MAX} bytes of options that mount(2) takes`,
    );
  }
  return short;
}

/** Makes the error for mapped ids: images and directories are shown with the ids in them. */
export function idsAreMapped(option: string): RefusedError {
  return badRootfs(`option ${option} is not supported`, "set remap_ids = false of the snapshotter");
}

/** Shortens layers to names relative to the directory above all of them. */
function relativeLayers(layers: string): { directory: string; names: string } {
  const parts = splitLayers(layers).map((layer) => layer.split("/"));
  let depth = 0;
  const first = parts[0]!;
  while (depth < first.length - 1 && parts.every((part) => part[depth] === first[depth])) depth++;
  return {
    directory: first.slice(0, depth).join("/") || "/",
    names: parts.map((part) => part.slice(depth).join("/")).join(":"),
  };
}

/** Splits at colons without a backslash before them. */
export function splitLayers(layers: string): string[] {
  return layers.split(/(?<!\\):/);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A colon separates layers unless a backslash stands before it. */
function escapeColons(path: string): string {
  return path.replaceAll("\\", "\\\\").replaceAll(":", "\\:");
}
