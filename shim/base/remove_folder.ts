import { MNT, type System } from "../../ffi/mod.ts";

/**
 * Removes a folder with all that is in it, but nothing of what is mounted there: all mounts below
 * it are undone first, and while one is left nothing is removed. A container's image may be mounted
 * there, and its files are the host's.
 *
 * Looks at the mount namespace of the main thread. Does nothing when there is no such folder.
 * @throws Error naming the mounts that cannot be undone.
 */
export function removeFolder(system: System, folder: string): void {
  unmountBelow(system, folder);
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function unmountBelow(system: System, folder: string): void {
  for (const target of mountsBelow(Deno.readTextFileSync("/proc/self/mountinfo"), folder)) {
    system.unmount(target, MNT.DETACH | MNT.NOFOLLOW);
  }
  const left = mountsBelow(Deno.readTextFileSync("/proc/self/mountinfo"), folder);
  if (left.length > 0) throw new Error(`still mounted: ${left.join(", ")}`);
}

/** Mount points at or below a folder, deepest first, from the text of mountinfo (proc(5)). */
export function mountsBelow(mountinfo: string, folder: string): string[] {
  return mountinfo.split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replaceAll(/\\([0-7]{3})/g, unescape))
    .filter((target) => target === folder || target.startsWith(`${folder}/`))
    .reverse();
}

function unescape(_: string, octal: string): string {
  return String.fromCharCode(parseInt(octal, 8));
}
