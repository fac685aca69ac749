import { Code, RpcError } from "../../proto/mod.ts";
import type { Config } from "../config/config.ts";
import { templatePath } from "./disk_template.ts";

/** Where what the container writes goes. */
export type WritableLayer =
  /** null: half of the VM's memory. */
  | { readonly kind: "tmpfs"; readonly mib: number | null }
  | { readonly kind: "disk"; readonly mib: number; readonly mkfsPath: string | null }
  /** The snapshot's own: an ext4 image. */
  | { readonly kind: "snapshot"; readonly path: string };

/** What the plan depends on besides the settings. */
export interface WritableFacts {
  /** The snapshot's own image; null: it has none. */
  readonly ofSnapshot: string | null;
  isFile(path: string): boolean;
  /** Whether the machine has a virtio slot for one more disk. */
  readonly slotLeft: boolean;
}

/** Of a disk whose size nobody says; it is as large as what is written to it. */
const DISK_MIB = 10 * 1024;
const MKFS_PLACES = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"];

/**
 * A snapshot's own image is what containerd commits: no setting says otherwise. Else it is
 * a disk, unless a tmpfs is asked for. Nothing has to be installed or configured for a container to
 * start: where nobody has said which, and a disk cannot be made, it is a tmpfs, with a warning. Pure.
 *
 * @throws RpcError FailedPrecondition that says how to mend it: a disk is asked for, or a mkfs.ext4,
 *   and that is not there.
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
    const warning = "no virtio slot is left for a disk: what the container writes goes to memory";
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
  const missing =
    `mkfs.ext4 not found at ${places.join(", nor at ")}: install e2fsprogs, set mkfs_path ` +
    "in /etc/qemubox/config.json, or have the writable layer in memory (writable: tmpfs)";
  if (isChosen || mkfsPath !== null) throw new RpcError(Code.FailedPrecondition, missing);
  return { writable: tmpfs, warning: `what the container writes goes to memory: ${missing}` };
}
