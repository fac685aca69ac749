import { removeIfPresent } from "../../base/mod.ts";
import { MNT, type System } from "../../ffi/mod.ts";

/**
 * Removes a directory with everything in it, but no file that is mounted there: unmounts everything
 * below it first, and removes nothing while a mount is left. A container's image may be mounted
 * there, and its files are the host's.
 *
 * Uses the mount namespace of the main thread. Does nothing if the directory does not exist.
 *
 * @throws {Error} naming the mounts that cannot be undone.
 */
export function removeDirectory(system: System, directory: string): void {
  unmountBelow(system, directory);
  removeIfPresent(directory, { recursive: true });
}

function unmountBelow(system: System, directory: string): void {
  for (const target of mountsBelow(Deno.readTextFileSync("/proc/self/mountinfo"), directory)) {
    system.unmount(target, MNT.DETACH | MNT.NOFOLLOW);
  }
  const left = mountsBelow(Deno.readTextFileSync("/proc/self/mountinfo"), directory);
  if (left.length > 0) throw new Error(`still mounted: ${left.join(", ")}`);
}

/** Returns the mount points at or below a directory, deepest first, from mountinfo (proc(5)). */
export function mountsBelow(mountinfo: string, directory: string): string[] {
  return mountinfo.split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replaceAll(/\\([0-7]{3})/g, unescape))
    .filter((target) => target === directory || target.startsWith(`${directory}/`))
    .reverse();
}

function unescape(_: string, octal: string): string {
  return String.fromCharCode(parseInt(octal, 8));
}
