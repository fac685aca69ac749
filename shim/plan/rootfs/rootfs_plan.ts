import { type PlannedFolder, withoutTemplates } from "./mount_templates.ts";
import { RootfsError, type SnapshotMount } from "./snapshot_mount.ts";

export { RootfsError, type SnapshotMount } from "./snapshot_mount.ts";

/**
 * From the mounts that a snapshotter hands over to one read-only view of the image.
 *
 * The writable layer of a container lives in its VM, so the host never needs the snapshot's upper
 * directory for writing: an overlay's upper directory becomes its top-most lower one, and every
 * mount becomes read-only. Nothing here touches the system.
 *
 * See the kernel's Documentation/filesystems/overlayfs.rst for the options.
 */

/** One call of mount(2), to be made in order. */
export interface PlannedMount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  /** What kind of mount: a bind becomes read-only with a remount after it. */
  readonly kind: "bind" | "filesystem";
  /** File-system options, comma separated, as mount(2) takes them. */
  readonly data: string;
  /** Paths in `data` are relative to this folder; absent when they are absolute. */
  readonly workingDirectory?: string;
  /** What the mount needs, of the host's. */
  readonly folders?: readonly PlannedFolder[];
}

/** mount(2) copies at most one page of options. */
export const MOUNT_DATA_BYTES_MAX = 4095;

/** Options that are flags of mount(2) and not for the file system; read-only is always set. */
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
 * Plans the mounts that show the image at `target`; those that only serve the last one are beside it.
 *
 * @param mounts in the order containerd gives them; each covers the one before it, unless a template
 * names it (mount_templates.ts).
 * @throws RootfsError when there is none, or one cannot be mounted read-only as described.
 */
export function planRootfs(mounts: readonly SnapshotMount[], target: string): PlannedMount[] {
  if (mounts.length === 0) {
    throw new RootfsError("containerd handed over no root file system; run with a snapshotter");
  }
  if (!mounts.some(({ type }) => type.includes("/"))) {
    return mounts.map((mount) => planMount(mount, target));
  }
  const places = mounts.map((_, index) =>
    index === mounts.length - 1 ? target : `${target}-${index}`
  );
  return mounts.map((mount, index) => {
    const { folders, ...plain } = withoutTemplates(mount, places.slice(0, index));
    return { ...planMount(plain, places[index]!), ...(folders.length > 0 ? { folders } : {}) };
  });
}

function planMount(mount: SnapshotMount, target: string): PlannedMount {
  if (mount.target) {
    throw new RootfsError(`root file system mount with target ${mount.target} is not supported`);
  }
  if (mount.type === "bind" || mount.options.some((o) => o === "bind" || o === "rbind")) {
    return { source: mount.source, target, type: "bind", kind: "bind", data: "" };
  }
  if (mount.type.includes("/")) {
    throw new RootfsError(
      `root file system mount type ${mount.type} needs containerd's mount manager to prepare it`,
    );
  }
  if (mount.type === "erofs" && mount.options.includes("loop")) {
    throw new RootfsError(
      `root file system: EROFS image ${mount.source} is not mounted on the host, and these mounts say ` +
        "nothing else that could be done with it",
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
  if (lower === undefined) throw new RootfsError("overlay mount without lowerdir");
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
  const { folder, names } = relativeLayers(layers);
  const short = { ...plan(names), workingDirectory: folder };
  if (byteLength(short.data) > MOUNT_DATA_BYTES_MAX) {
    throw new RootfsError(
      `the ${splitLayers(layers).length} layers of the image need more than the ` +
        `${MOUNT_DATA_BYTES_MAX} bytes of options that mount(2) takes`,
    );
  }
  return short;
}

/** Images and folders are shown with the ids that are in them. */
export function idsAreMapped(option: string): RootfsError {
  return new RootfsError(
    `root file system: option ${option} is not supported; set remap_ids = false of the snapshotter`,
  );
}

/** Shortens layers to names relative to the folder that all of them lie under. */
function relativeLayers(layers: string): { folder: string; names: string } {
  const parts = splitLayers(layers).map((layer) => layer.split("/"));
  let depth = 0;
  const first = parts[0]!;
  while (depth < first.length - 1 && parts.every((part) => part[depth] === first[depth])) depth++;
  return {
    folder: first.slice(0, depth).join("/") || "/",
    names: parts.map((part) => part.slice(depth).join("/")).join(":"),
  };
}

/** Splits at colons that no backslash escapes. */
function splitLayers(layers: string): string[] {
  return layers.split(/(?<!\\):/);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** A colon separates layers unless a backslash stands before it. */
function escapeColons(path: string): string {
  return path.replaceAll("\\", "\\\\").replaceAll(":", "\\:");
}
