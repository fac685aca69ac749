import { CLONE, MNT, MS, type System, SystemError } from "../ffi/mod.ts";
import { Code, RpcError } from "../proto/mod.ts";
import { type PlannedMount, planRootfs, type SnapshotMount } from "./rootfs_plan.ts";

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

/**
 * Shows a container's image in the folder that virtiofsd shares, read-only.
 *
 * Must run in a mount namespace of the shim's own.
 * @param target the folder to mount on; it is made.
 * @returns what undoes it.
 * @throws RpcError that names the mount that failed.
 */
export function mountRootfs(
  system: System,
  mounts: readonly SnapshotMount[],
  target: string,
): Disposable {
  const planned = planRootfs(mounts, target);
  Deno.mkdirSync(target, { recursive: true, mode: 0o700 });
  const undo = new DisposableStack();
  undo.defer(() => Deno.removeSync(target));
  try {
    for (const mount of planned) {
      described(mount, () => attach(system, mount));
      undo.defer(() => system.unmount(target, MNT.DETACH));
      if (mount.kind === "bind") {
        // A bind takes no flags on its way; mount(2), "Remounting an existing mount".
        const flags = MS.BIND | MS.REMOUNT | MS.RDONLY;
        described(mount, () => system.mount("none", target, null, flags));
      }
    }
  } catch (error) {
    undo.dispose();
    throw error;
  }
  return undo;
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
function described({ type, source, data }: PlannedMount, work: () => void): void {
  try {
    work();
  } catch (error) {
    const reason = error instanceof SystemError ? error.code : (error as Error).message;
    throw new RpcError(
      Code.Internal,
      `root file system: mount of ${type} ${source} failed: ${reason} (${data || "no options"})`,
    );
  }
}
