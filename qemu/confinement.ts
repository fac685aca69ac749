import {
  Child,
  type Fd,
  MNT,
  MS,
  type NamespaceKind,
  O,
  type Pid,
  type SpawnCommand,
  type System,
  withNamespace,
  withNewNamespaces,
} from "../ffi/mod.ts";
import type { VmConfig } from "./config.ts";
import type { Confinement } from "./helper_commands.ts";

/** Namespaces of a confined process besides that of its network. */
const NAMESPACES: readonly NamespaceKind[] = ["mnt", "pid", "ipc", "uts", "cgroup"];
/**
 * Added to the chance of the host's OOM killer, in permille of memory. containerd and the shim are
 * killed later; what systemd or containerd wanted of the shim does not protect its VM.
 */
const OOM_SCORE = 100;

/**
 * Spawns a process in namespaces of its own.
 *
 * The process is PID 1 of its pid namespace and has this one's parent-death signal and exit status
 * all the same. Its root is a copy of this process's mounts until `emptyRoot`.
 *
 * @param netns its network; null: a new one, without interfaces.
 * @throws SystemError
 */
export function spawnApart(system: System, command: SpawnCommand, netns: Fd | null): Child {
  const make = (kinds: readonly NamespaceKind[], one: SpawnCommand) =>
    withNewNamespaces(system, kinds, () => system.spawn(one));
  const spawn = (one: SpawnCommand): Pid =>
    netns === null
      ? make([...NAMESPACES, "net"], one)
      : withNamespace(system, "net", netns, () => make(NAMESPACES, one));
  return Child.spawn(command, { system, spawn });
}

/**
 * Returns how QEMU is confined. The guest's memory is a file, too; a disk does not grow.
 *
 * @param id user and group id.
 */
export function confinementOf(
  { size, scratchDisks }: Pick<VmConfig, "size" | "scratchDisks">,
  id: number,
): Confinement {
  const disks = scratchDisks.map(({ file }) => Deno.statSync(`/proc/self/fd/${file}`).size);
  return { id, fileBytesMax: Math.max(size.memoryMibMax * 1024 * 1024, ...disks) };
}

/** Makes the host's OOM killer prefer a process, unless it does already. */
export function offerToOomKiller(pid: Pid): void {
  const path = `/proc/${pid}/oom_score_adj`;
  if (Number(Deno.readTextFileSync(path)) < OOM_SCORE) {
    Deno.writeTextFileSync(path, String(OOM_SCORE));
  }
}

/**
 * Replaces the root of a process that `spawnApart` made by an empty, read-only directory:
 * pivot_root(2) moves every process of a mount namespace. It keeps what it has opened and mapped,
 * and finds nothing by path any more.
 *
 * @param directory any directory; it is covered in the process's namespace only.
 * @throws SystemError
 */
export function emptyRoot(system: System, pid: Pid, directory: string): void {
  const mounts = system.open(`/proc/${pid}/ns/mnt`, O.RDONLY);
  try {
    withNamespace(system, "mnt", mounts, () => {
      // What virtiofsd shares with a pod is a peer of its copy here: it would be unmounted, too.
      system.mount("none", "/", null, MS.REC | MS.PRIVATE);
      const mountEmpty = (target: string) => {
        const flags = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC;
        system.mount("none", target, "tmpfs", flags, "size=4k,nr_inodes=1,mode=555");
      };
      mountEmpty(directory);
      Deno.chdir(directory);
      // The old root is mounted on top of the new one, from where it is taken away.
      system.pivotRoot(".", ".");
      system.unmount(".", MNT.DETACH);
      // A process below the top of its namespace's root counts as one in a chroot, which may not
      // make user namespaces: user_namespaces(7). QEMU's own filter only holds while QEMU does.
      mountEmpty(".");
    });
  } finally {
    system.close(mounts);
  }
}
