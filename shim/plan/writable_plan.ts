import { RefusedError } from "../base/refused_error.ts";
import type { Config } from "../config/config.ts";
import { templatePath } from "./disk_template.ts";

/** Where the container's writable layer lies. */
export type WritableLayer =
  /** null: half of the VM's memory. */
  | { readonly kind: "tmpfs"; readonly mib: number | null }
  | { readonly kind: "disk"; readonly mib: number; readonly mkfsPath: string | null }
  /** On the snapshot's own ext4 image. */
  | { readonly kind: "snapshot"; readonly path: string };

/** Facts that the plan depends on, besides the settings. */
export interface WritableFacts {
  /** The snapshot's own image; null: it has none. */
  readonly ofSnapshot: string | null;
  isFile(path: string): boolean;
  /** Whether the machine has a virtio slot for one more disk. */
  readonly slotLeft: boolean;
}

/** Default size. The file takes no more than what is written to it. */
const DISK_MIB = 10 * 1024;
const MKFS_PLACES = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

/**
 * Decides where the writable layer lies. A snapshot's own image is what containerd commits, so it
 * comes before every setting. Otherwise the layer is a disk, unless a tmpfs is asked for. A
 * container starts with nothing installed or configured: where no setting chooses and a disk cannot
 * be made, the layer is a tmpfs, with a warning. Pure.
 *
 * @throws RefusedError `host` with the fix: a disk, or a mkfs.ext4, is asked for and missing.
 */
export function planWritable(
  { writable, writableMib, stateDir, mkfsPath }: Config,
  { ofSnapshot, isFile, slotLeft }: WritableFacts,
): { readonly writable: WritableLayer; readonly warning: string | null } {
  if (ofSnapshot !== null) {
    return { writable: { kind: "snapshot", path: ofSnapshot }, warning: null };
  }
  const tmpfs = { kind: "tmpfs", mib: writableMib } as const;
  if (writable === "tmpfs") return { writable: tmpfs, warning: null };
  const mib = writableMib ?? DISK_MIB;
  const isChosen = writable === "disk";
  if (!isChosen && !slotLeft) {
    const warning = "no virtio slot is left for a disk: the writable layer is in memory";
    return { writable: tmpfs, warning };
  }
  if (isFile(templatePath({ stateDir, mib }))) {
    return { writable: { kind: "disk", mib, mkfsPath: null }, warning: null };
  }
  const places = mkfsPath === null ? MKFS_PLACES : [mkfsPath];
  const found = places.find(isFile);
  if (found !== undefined) {
    return { writable: { kind: "disk", mib, mkfsPath: found }, warning: null };
  }
  const missing = new RefusedError(
    "host",
    "mkfs.ext4",
    `not found at ${places.join(", nor at ")}`,
    "install e2fsprogs, set mkfs_path in /etc/qemubox/config.json, or put the writable layer in " +
      "memory (writable: tmpfs)",
  );
  if (isChosen || mkfsPath !== null) throw missing;
  return { writable: tmpfs, warning: `the writable layer is in memory: ${missing.message}` };
}
