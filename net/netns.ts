import { removeIfPresent } from "../base/mod.ts";
import { CLONE, isSystemError, MNT, MS, netlink, openNamespace, type System } from "../ffi/mod.ts";

/** The loopback device has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;

/**
 * Makes a network namespace with its loopback up, held by a mount on `path`: it lives on when its
 * maker dies. Synchronous, because this thread is in it for a moment.
 *
 * Must run where the mount is to be seen. One that is there already, left by somebody who was
 * killed, is replaced.
 *
 * @throws SystemError; then nothing is left.
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
 * Takes away what holds a namespace: it is gone when nothing else is in it or has it open. Nothing
 * happens when there is none.
 * @throws SystemError, Deno.errors.*
 */
export function removeNetns(system: System, path: string): void {
  try {
    system.unmount(path, MNT.DETACH);
  } catch (error) {
    // Nothing there, or a file on which nothing is mounted.
    if (!isSystemError(error, "ENOENT", "EINVAL")) throw error;
  }
  removeIfPresent(path);
}
