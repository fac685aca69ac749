import { MS, type System } from "../../ffi/mod.ts";

/** One file system that has to be there before anything else. */
export interface EarlyMount {
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  readonly flags: number;
  readonly data: string | null;
  /** Whether the folder is not there yet: it lies in what was mounted before. */
  readonly makesFolder: boolean;
}

const NO_EXECUTABLES = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/**
 * What vminitd mounts, in this order. Stage 0 has mounted /proc, without which a `deno compile` binary
 * cannot read itself. To try it again would cost 40 million instructions: the first error of a program
 * is dear (docs/boot.md).
 */
export const EARLY_MOUNTS: readonly EarlyMount[] = [
  entry("devtmpfs", "/dev", "devtmpfs", MS.NOSUID | MS.NOEXEC, "mode=0755"),
  entry("sysfs", "/sys", "sysfs", NO_EXECUTABLES),
  entry("cgroup2", "/sys/fs/cgroup", "cgroup2", NO_EXECUTABLES, "nsdelegate"),
  within("devpts", "/dev/pts", "devpts", MS.NOSUID | MS.NOEXEC, "mode=0620,gid=5,ptmxmode=0666"),
  within("tmpfs", "/dev/shm", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777"),
  within("mqueue", "/dev/mqueue", "mqueue", NO_EXECUTABLES),
  // Bundles with their root file systems live under /run: no nodev, no noexec.
  entry("tmpfs", "/run", "tmpfs", MS.NOSUID, "mode=0755"),
  entry("tmpfs", "/tmp", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777"),
];

/**
 * Mounts `plan`, making the folders that it makes.
 *
 * @throws {SystemError} whatever mount(2) says
 */
export function mountEarly(
  system: System,
  plan: readonly EarlyMount[] = EARLY_MOUNTS,
  makeFolder: (path: string) => void = (path) => Deno.mkdirSync(path),
): void {
  for (const { source, target, fstype, flags, data, makesFolder } of plan) {
    if (makesFolder) makeFolder(target);
    system.mount(source, target, fstype, flags, data);
  }
}

function entry(
  source: string,
  target: string,
  fstype: string,
  flags: number,
  data: string | null = null,
): EarlyMount {
  return { source, target, fstype, flags, data, makesFolder: false };
}

/** On a folder that has to be made first. */
function within(...mount: Parameters<typeof entry>): EarlyMount {
  return { ...entry(...mount), makesFolder: true };
}
