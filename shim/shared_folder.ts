import { CLONE, MNT, MOUNT_ATTR, MS, type System, SystemError } from "../ffi/mod.ts";
import { Code, RpcError } from "../proto/mod.ts";
import type { LayerFile } from "./erofs_plan.ts";
import { layerName } from "./layer_disk.ts";
import { type PlannedMount, planRootfs, type SnapshotMount } from "./rootfs_plan.ts";
import type { Volume } from "./volume_plan.ts";

/**
 * Moves this process into a mount namespace of its own.
 *
 * Whatever the shim mounts for its VM is seen by it and by its helpers alone, and is gone when the
 * last of them is: a shim that is killed leaves no mount behind. Mounts that the host makes later
 * still arrive here, as far as the host shares them (mount_namespaces(7), MS_SLAVE).
 *
 * Deno has several threads and unshare(2) moves the calling one: mounts are made, and helpers
 * spawned, by the main thread only.
 */
export function enterMountNamespace(system: System): void {
  system.unshare(CLONE.NEWNS);
  system.mount("none", "/", null, MS.REC | MS.SLAVE);
}

/** What a VM sees of the host's files. */
export interface SharedThings {
  /** The image, unless it is on disks: what the snapshotter hands over, to be a folder of this name. */
  readonly rootfs: { readonly name: string; readonly mounts: readonly SnapshotMount[] } | null;
  /** EROFS images as files, called by their numbers (layer_disk.ts, `layerName`). */
  readonly layers: readonly LayerFile[];
  readonly volumes: readonly Volume[];
}

/** What a mount needs to be made on. */
interface Place {
  readonly target: string;
  readonly kind: "file" | "directory";
}

/**
 * Makes the folder that virtiofsd shares: everything in it is a mount.
 *
 * What is read-only is so here, on the host, with all that lies below it: virtiofsd itself can write
 * wherever one volume can be written to. No device file in it can be opened from the guest, and what
 * the host mounts below a volume later does not appear. The folder itself is read-only too: it lies in
 * the host's memory.
 *
 * Must run in a mount namespace of the shim's own.
 * @param folder is there, and empty.
 * @returns what undoes the mounts; the folder stays.
 * @throws RpcError that names the mount that failed.
 */
export function shareWithVm(system: System, things: SharedThings, folder: string): Disposable {
  const { rootfs, layers, volumes } = things;
  using undo = new DisposableStack();
  const bind = ({ target, kind }: Place, source: string, attributes: number, flags = 0) => {
    makePlace({ target, kind });
    described(
      `bind mount of ${source}`,
      () => system.mount(source, target, null, MS.BIND | flags),
    );
    undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
    described(`bind mount of ${source}`, () => system.restrictMounts(target, attributes));
  };
  system.mount(folder, folder, null, MS.BIND);
  undo.defer(() => system.unmount(folder, MNT.DETACH | MNT.NOFOLLOW));
  if (rootfs !== null) {
    const target = `${folder}/${rootfs.name}`;
    makePlace({ target, kind: "directory" });
    for (const mount of planRootfs(rootfs.mounts, target)) {
      const { type, source, data } = mount;
      const what = `root file system: mount of ${type} ${source} (${data || "no options"})`;
      described(what, () => attach(system, mount));
      undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
      described(what, () => system.restrictMounts(target, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV));
    }
  }
  layers.forEach(({ path }, index) => {
    const place = { target: `${folder}/${layerName(index)}`, kind: "file" } as const;
    bind(place, path, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV);
  });
  for (const { hostPath, kind, name, readonly, recursive } of volumes) {
    const attributes = MOUNT_ATTR.NODEV | (readonly ? MOUNT_ATTR.RDONLY : 0);
    bind({ target: `${folder}/${name}`, kind }, hostPath, attributes, recursive ? MS.REC : 0);
  }
  // A bind takes no flags on its way; mount(2), "Remounting an existing mount".
  system.mount("none", folder, null, MS.BIND | MS.REMOUNT | MS.RDONLY);
  return undo.move();
}

function makePlace({ target, kind }: Place): void {
  if (kind === "directory") Deno.mkdirSync(target, { mode: 0o700 });
  else Deno.writeFileSync(target, new Uint8Array(), { createNew: true, mode: 0o600 });
}

function attach(system: System, mount: PlannedMount): void {
  const { source, target, type, data, workingDirectory } = mount;
  const before = workingDirectory === undefined ? null : Deno.cwd();
  try {
    if (workingDirectory !== undefined) Deno.chdir(workingDirectory);
    if (mount.kind === "bind") system.mount(source, target, null, MS.BIND | MS.REC);
    else system.mount(source, target, type, MS.RDONLY, data);
  } finally {
    if (before !== null) Deno.chdir(before);
  }
}

/** Names the mount that failed. */
function described(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const reason = error instanceof SystemError ? error.code : (error as Error).message;
    throw new RpcError(Code.Internal, `${what} failed: ${reason}`);
  }
}
