import { CLONE, O } from "./constants.ts";
import type { Fd, System } from "./system.ts";

/** Namespaces of the calling thread, held open so that it can come back to them. */
export type NamespaceKind = "net" | "mnt";

const TYPES = { net: CLONE.NEWNET, mnt: CLONE.NEWNS } as const;

/**
 * Opens a namespace of the calling thread. In Deno that is the main thread, the only one that
 * unshare(2) and setns(2) move.
 * @throws SystemError
 */
export function openNamespace(system: System, kind: NamespaceKind): Fd {
  return system.open(`/proc/thread-self/ns/${kind}`, O.RDONLY);
}

/**
 * Does `work` in another namespace, and comes back. `work` is synchronous: an await in it would let
 * everything else of the process run there too. What it opens (sockets, taps) and spawns belongs to
 * that namespace for good.
 *
 * In another mount namespace the working directory is its root; the one of before is entered again
 * by its path.
 *
 * @throws SystemError when the namespace cannot be entered, and whatever `work` throws.
 */
export function withNamespace<T>(
  system: System,
  kind: NamespaceKind,
  fd: Fd,
  work: () => T extends Promise<unknown> ? never : T,
): T {
  const home = openNamespace(system, kind);
  const directory = kind === "mnt" ? workingDirectory() : null;
  try {
    // Threads that were started since share the file system context, with which setns(2) refuses.
    if (kind === "mnt") system.unshare(CLONE.FS);
    system.setns(fd, TYPES[kind]);
    try {
      return work();
    } finally {
      if (kind === "mnt") system.unshare(CLONE.FS);
      system.setns(home, TYPES[kind]);
      if (directory !== null) Deno.chdir(directory);
    }
  } finally {
    system.close(home);
  }
}

/** null: it was removed, so there is none to come back to. */
function workingDirectory(): string | null {
  try {
    return Deno.cwd();
  } catch {
    return null;
  }
}
