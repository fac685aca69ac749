import { CLONE, O } from "./constants.ts";
import type { Fd, System } from "./system.ts";

const TYPES = {
  net: CLONE.NEWNET,
  mnt: CLONE.NEWNS,
  pid: CLONE.NEWPID,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  cgroup: CLONE.NEWCGROUP,
} as const;

/**
 * Opens the calling thread's namespace, so that it can return there. In Deno that is the main
 * thread, the only one that unshare(2) and setns(2) move.
 *
 * @throws {SystemError}
 */
export function openNamespace(system: System, kind: NamespaceKind): Fd {
  return system.open(`/proc/thread-self/ns/${kind}`, O.RDONLY);
}

/**
 * Runs `work` in another namespace and returns to the current one. `work` is synchronous, because
 * an await would let the rest of the process run there too. Sockets and taps that it opens, and
 * processes that it spawns, stay in that namespace.
 *
 * In another mount namespace the working directory is its root; afterwards the previous one is
 * entered again by its path.
 *
 * @throws {SystemError} if the namespace cannot be entered.
 * @throws what `work` throws.
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
    // setns(2) fails while newer threads share the file system context (fs_struct).
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

/**
 * Runs `work` in new namespaces and returns to the current ones. As in `withNamespace`, `work` is
 * synchronous. It must do no more than spawn: with a new pid namespace its children are in it (the
 * first of them is its PID 1), and the thread cannot start threads, of which Deno starts some on
 * demand.
 *
 * @throws {SystemError} if a namespace cannot be made.
 * @throws what `work` throws.
 */
export function withNewNamespaces<T>(
  system: System,
  kinds: readonly NamespaceKind[],
  work: () => T extends Promise<unknown> ? never : T,
): T {
  using cleanup = new DisposableStack();
  const homes = kinds.map((kind) => {
    const fd = openNamespace(system, kind);
    cleanup.defer(() => system.close(fd));
    return { fd, type: TYPES[kind] };
  });
  const directory = kinds.includes("mnt") ? workingDirectory() : null;
  // Implies CLONE_FS for a mount namespace, without which setns(2) fails.
  system.unshare(homes.reduce((flags, { type }) => flags | type, 0));
  try {
    return work();
  } finally {
    for (const { fd, type } of homes) system.setns(fd, type);
    if (directory !== null) Deno.chdir(directory);
  }
}

/** Kinds of namespaces that a thread can enter and leave again. */
export type NamespaceKind = keyof typeof TYPES;

/** Returns null if the working directory was removed: there is none to return to. */
function workingDirectory(): string | null {
  try {
    return Deno.cwd();
  } catch {
    return null;
  }
}
