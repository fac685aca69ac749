import { removeIfPresent } from "../base/mod.ts";
import { CLONE, isSystemError, MNT, MS, netlink, openNamespace, type System } from "../ffi/mod.ts";

/** The loopback device has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;

/**
 * Makes a network namespace with its loopback up. A mount on `path` holds it, so that it survives
 * its maker. Synchronous, because this thread is in the namespace for a moment.
 *
 * Must run in the mount namespace that is to see the mount. Replaces a namespace that a killed
 * process left there.
 *
 * @throws SystemError; nothing is left then.
 */
export function createNetns(system: System, path: string): void {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
  removeNetns(system, path);
  Deno.writeTextFileSync(path, "", { createNew: true, mode: 0o400 });
  try {
    const home = openNamespace(system, "net");
    try {
      system.unshare(CLONE.NEWNET);
      try {
        system.mount("/proc/thread-self/ns/net", path, null, MS.BIND);
        using rtnetlink = netlink.Rtnetlink.open(system);
        rtnetlink.change(netlink.setLink(LOOPBACK_INDEX, { up: true }), "set link lo up");
      } finally {
        system.setns(home, CLONE.NEWNET);
      }
    } finally {
      system.close(home);
    }
  } catch (error) {
    removeNetns(system, path);
    throw error;
  }
}

/**
 * Removes the mount that holds a namespace, which is gone once nothing else is in it or has it
 * open. Does nothing if there is none.
 *
 * @throws SystemError, Deno.errors.*
 */
export function removeNetns(system: System, path: string): void {
  try {
    system.unmount(path, MNT.DETACH);
  } catch (error) {
    // There is no such file, or nothing is mounted on it.
    if (!isSystemError(error, "ENOENT", "EINVAL")) throw error;
  }
  removeIfPresent(path);
}
