import { messageOf } from "../../base/mod.ts";
import { CLONE, MNT, MOUNT_ATTR, MS, type System, SystemError } from "../../ffi/mod.ts";
import type { DeviceFile } from "../plan/rootfs/erofs_plan.ts";
import { layerName } from "../plan/rootfs/layer_disk.ts";
import type { SandboxPaths } from "../base/names.ts";
import { RefusedError } from "../base/refused_error.ts";
import { removeDirectory } from "../base/remove_directory.ts";
import { type PlannedMount, planRootfs } from "../plan/rootfs/rootfs_plan.ts";
import type { SnapshotMount } from "../plan/rootfs/snapshot_mount.ts";
import type { Volume } from "../plan/volume_plan.ts";

/**
 * Moves this process into its own mount namespace.
 *
 * Only the shim and its helpers see the mounts that the shim makes for its VM. The mounts are gone
 * with the last of these processes: a killed shim leaks none. Mounts that the host makes later
 * still arrive here, as far as the host shares them (mount_namespaces(7), MS_SLAVE).
 *
 * Deno has several threads and unshare(2) moves the calling one: only the main thread makes mounts
 * and spawns helpers.
 */
export function enterMountNamespace(system: System): void {
  system.unshare(CLONE.NEWNS);
  system.mount("none", "/", null, MS.REC | MS.SLAVE);
}

/** Files of the host that a VM sees. */
export interface SharedThings {
  /** Mounts of the snapshotter and the directory name for them; null if the image is on disks. */
  readonly rootfs: { readonly name: string; readonly mounts: readonly SnapshotMount[] } | null;
  /** EROFS images as files, named by their index (layer_disk.ts, `layerName`). */
  readonly layers: readonly DeviceFile[];
  readonly volumes: readonly Volume[];
}

/** Mount point. */
interface MountPoint {
  readonly target: string;
  readonly kind: "file" | "directory";
}

/**
 * Fills the directory that virtiofsd shares: everything in it is a mount.
 *
 * Read-only mounts are read-only here, on the host, with everything below them: virtiofsd itself
 * can write wherever one volume is writable. The guest cannot open device files in them, and mounts
 * that the host makes below a volume later do not appear. The directory itself is read-only too: it
 * lies in the host's memory.
 *
 * Must run in the shim's own mount namespace.
 *
 * @param directory exists and is empty.
 * @param under directory mounted under it, in which mount points can be made later.
 * @returns the undoing of the mounts; the directory stays.
 * @throws {RefusedError} `host`, naming the mount that failed.
 */
export function shareWithVm(
  system: System,
  things: SharedThings,
  directory: string,
  under: string = directory,
): Disposable {
  const { rootfs, layers, volumes } = things;
  using undo = new DisposableStack();
  const bind = (
    { target, kind }: MountPoint,
    source: string,
    attributes: number,
    flags = 0,
  ) => {
    makeMountPoint({ target, kind });
    described(
      `bind mount of ${source}`,
      () => system.mount(source, target, null, MS.BIND | flags),
    );
    undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
    described(`bind mount of ${source}`, () => system.restrictMounts(target, attributes));
  };
  system.mount(under, directory, null, MS.BIND);
  undo.defer(() => system.unmount(directory, MNT.DETACH | MNT.NOFOLLOW));
  if (rootfs !== null) {
    const made = new Set<string>();
    for (const mount of planRootfs(rootfs.mounts, `${directory}/${rootfs.name}`)) {
      const { type, source, data, target, directories = [] } = mount;
      if (!made.has(target)) makeMountPoint({ target, kind: "directory" });
      made.add(target);
      for (const { path, mode } of directories) Deno.mkdirSync(path, { recursive: true, mode });
      const what = `root file system: mount of ${type} ${source} (${data || "no options"})`;
      described(what, () => attach(system, mount));
      undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
      described(what, () => system.restrictMounts(target, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV));
    }
  }
  layers.forEach(({ path }, index) => {
    const place = { target: `${directory}/${layerName(index)}`, kind: "file" } as const;
    bind(place, path, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NODEV);
  });
  for (const { hostPath, kind, name, readonly, recursive } of volumes) {
    const attributes = MOUNT_ATTR.NODEV | (readonly ? MOUNT_ATTR.RDONLY : 0);
    bind({ target: `${directory}/${name}`, kind }, hostPath, attributes, recursive ? MS.REC : 0);
  }
  // A bind mount ignores MS_RDONLY when it is made; mount(2), "Remounting an existing mount".
  system.mount("none", directory, null, MS.BIND | MS.REMOUNT | MS.RDONLY);
  return undo.move();
}

type PodPaths = Pick<SandboxPaths, "shared" | "places" | "containers">;

/**
 * As {@linkcode shareWithVm}, for a VM that later containers join: mounts of
 * {@linkcode shareWithPodContainer} arrive in the mount namespace that virtiofsd makes for itself
 * (MS_SHARED: its mounts are slaves of ours).
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
 * Shares the files of a pod container with a VM for which {@linkcode shareWithPod} was called, as a
 * directory named `name`. It is assembled elsewhere first: a read-only mount must be read-only
 * when it arrives, since flags set later do not propagate.
 *
 * @returns the undoing; the guest must have released the directory before.
 * @throws {RefusedError} `host`, naming the mount that failed.
 */
export function shareWithPodContainer(
  system: System,
  things: SharedThings,
  name: string,
  { shared, places, containers }: PodPaths,
): Disposable {
  using undo = new DisposableStack();
  const [own, place] = [`${containers}/${name}`, `${places}/${name}`];
  Deno.mkdirSync(own, { recursive: true, mode: 0o700 });
  undo.defer(() => removeDirectory(system, own));
  undo.use(shareWithVm(system, things, own));
  Deno.mkdirSync(place, { mode: 0o700 });
  undo.defer(() => Deno.removeSync(place));
  const target = `${shared}/${name}`;
  described(`bind mount of ${own}`, () => system.mount(own, target, null, MS.BIND | MS.REC));
  undo.defer(() => system.unmount(target, MNT.DETACH | MNT.NOFOLLOW));
  return undo.move();
}

function makeMountPoint({ target, kind }: MountPoint): void {
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

/** Runs `work`; its error names the mount. */
function described(mount: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const reason = error instanceof SystemError ? error.code : messageOf(error);
    throw new RefusedError("failed", mount, `failed: ${reason}`, undefined, { cause: error });
  }
}
