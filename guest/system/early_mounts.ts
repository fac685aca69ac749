import { MS, type System } from "../../ffi/mod.ts";

const NO_EXECUTABLES = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/**
 * The mounts, in order. Stage 0 has mounted /proc, without which a `deno compile` binary cannot
 * read itself. A second attempt would cost 40 million instructions: the first error of a program is
 * expensive (docs/boot.md).
 */
export const EARLY_MOUNTS: readonly EarlyMount[] = [
  entry("devtmpfs", "/dev", "devtmpfs", MS.NOSUID | MS.NOEXEC, "mode=0755"),
  entry("sysfs", "/sys", "sysfs", NO_EXECUTABLES),
  entry("cgroup2", "/sys/fs/cgroup", "cgroup2", NO_EXECUTABLES, "nsdelegate"),
  within("devpts", "/dev/pts", "devpts", MS.NOSUID | MS.NOEXEC, "mode=0620,gid=5,ptmxmode=0666"),
  within("tmpfs", "/dev/shm", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777"),
  within("mqueue", "/dev/mqueue", "mqueue", NO_EXECUTABLES),
  // Root file systems of bundles are below /run: no nodev, no noexec.
  entry("tmpfs", "/run", "tmpfs", MS.NOSUID, "mode=0755"),
  entry("tmpfs", "/tmp", "tmpfs", MS.NOSUID | MS.NODEV, "mode=1777"),
];

/** A file system that vminitd mounts before anything else. */
export interface EarlyMount {
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  readonly flags: number;
  readonly data: string | null;
  /** Whether the directory has to be made, because it is on an earlier mount. */
  readonly makesDirectory: boolean;
}

/**
 * Mounts `plan`, and makes its directories.
 *
 * @throws {SystemError} an errno of mount(2)
 */
export function mountEarly(
  system: System,
  plan: readonly EarlyMount[] = EARLY_MOUNTS,
  makeDirectory: (path: string) => void = (path) => Deno.mkdirSync(path),
): void {
  for (const { source, target, fstype, flags, data, makesDirectory } of plan) {
    if (makesDirectory) makeDirectory(target);
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
  return { source, target, fstype, flags, data, makesDirectory: false };
}

/** Returns a mount whose directory has to be made first. */
function within(...mount: Parameters<typeof entry>): EarlyMount {
  return { ...entry(...mount), makesDirectory: true };
}
