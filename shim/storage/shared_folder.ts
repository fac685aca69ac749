import { CLONE, MNT, MOUNT_ATTR, MS, type System, SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import type { DeviceFile } from "../plan/rootfs/erofs_plan.ts";
import { layerName } from "../plan/rootfs/layer_disk.ts";
import type { SandboxPaths } from "../base/names.ts";
import { removeFolder } from "../base/remove_folder.ts";
import { type PlannedMount, planRootfs, type SnapshotMount } from "../plan/rootfs/rootfs_plan.ts";
import type { Volume } from "../plan/volume_plan.ts";

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
  readonly layers: readonly DeviceFile[];
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
 * @param under what lies under it: who keeps that can make places in it later.
 * @returns what undoes the mounts; the folder stays.
 * @throws RpcError that names the mount that failed.
 */
export function shareWithVm(
  system: System,
  things: SharedThings,
  folder: string,
  under: string = folder,
): Disposable {
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
  system.mount(under, folder, null, MS.BIND);
  undo.defer(() => system.unmount(folder, MNT.DETACH | MNT.NOFOLLOW));
  if (rootfs !== null) {
    const places = new Set<string>();
    for (const mount of planRootfs(rootfs.mounts, `${folder}/${rootfs.name}`)) {
      const { type, source, data, target, folders = [] } = mount;
      if (!places.has(target)) makePlace({ target, kind: "directory" });
      places.add(target);
      for (const { path, mode } of folders) Deno.mkdirSync(path, { recursive: true, mode });
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

type PodPaths = Pick<SandboxPaths, "shared" | "places" | "members">;

/**
 * As {@linkcode shareWithVm}, for a VM in which containers come later: what {@linkcode shareWithMember}
 * mounts there arrives in the mount namespace that virtiofsd makes for itself (MS_SHARED: its mounts are
 * slaves of ours).
 */
export function shareWithPod(
  system: System,
  things: SharedThings,
  { shared, places }: PodPaths,
): Disposable {
  Deno.mkdirSync(places, { mode: 0o700 });
  using undo = new DisposableStack();
  undo.use(shareWithVm(system, things, shared, places));
  system.mount("none", shared, null, MS.SHARED);
  return undo.move();
}

/**
 * Shares more with a VM of which {@linkcode shareWithPod} was called, as a folder of the name `folder`. It
 * is put together elsewhere first: what is read-only has to be so when it arrives, since flags that a
 * mount gets later stay with it.
 *
 * @returns what undoes it. The guest has to let go of it before.
 * @throws RpcError that names the mount that failed.
 */
export function shareWithMember(
  system: System,
  things: SharedThings,
  folder: string,
  { shared, places, members }: PodPaths,
): Disposable {
  using undo = new DisposableStack();
  const [own, place] = [`${members}/${folder}`, `${places}/${folder}`];
  Deno.mkdirSync(own, { recursive: true, mode: 0o700 });
  undo.defer(() => removeFolder(system, own));
  undo.use(shareWithVm(system, things, own));
  Deno.mkdirSync(place, { mode: 0o700 });
  undo.defer(() => Deno.removeSync(place));
  const target = `${shared}/${folder}`;
  described(`what ${folder} shares`, () => system.mount(own, target, null, MS.BIND | MS.REC));
  undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
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
