import { runSystemdCommand } from "./systemd_command.ts";

/** A scope for systemd to create: systemd.scope(5). */
export interface SystemdScope {
  /** "kubepods-pod1.slice". */
  readonly slice: string;
  /** "cri-containerd-c1.scope". */
  readonly unit: string;
}

/** Unit names that need no quoting: systemd.unit(5). */
const UNIT_NAME = /^[A-Za-z0-9:_.@-]{1,200}$/;
const DEFAULT_SLICE = "system.slice";

/**
 * Returns the scope of a specification's `slice:prefix:name`, the form that clients use where
 * systemd manages cgroups; null for other forms, and for names that no unit can have. Pure.
 */
export function systemdScopeOf(cgroupsPath: string | undefined): SystemdScope | null {
  const [slice, prefix, name, ...more] = (cgroupsPath ?? "").split(":");
  if (slice === undefined || prefix === undefined || !name || more.length > 0) return null;
  const scope = {
    slice: slice || DEFAULT_SLICE,
    unit: `${prefix === "" ? "" : `${prefix}-`}${name}.scope`,
  };
  if (!scope.slice.endsWith(".slice")) return null;
  return UNIT_NAME.test(scope.slice) && UNIT_NAME.test(scope.unit) ? scope : null;
}

/**
 * Has systemd create the scope, and moves process `pid` into it: its children start there. systemd
 * owns the scope and removes it with the last process in it.
 *
 * systemd starts a shell in the scope, and the shell moves the process there before it exits. So
 * the scope's path is the one that systemd chose, and the scope is never empty.
 *
 * @param command path or name of systemd-run(1).
 * @throws Error with the stderr of systemd-run, or because it cannot be run.
 */
export async function enterSystemdScope(
  { slice, unit }: SystemdScope,
  pid: number,
  command = "systemd-run",
): Promise<void> {
  const enter =
    'IFS=: read -r _ _ path </proc/self/cgroup && echo "$1" >"/sys/fs/cgroup$path/cgroup.procs"';
  await runSystemdCommand(command, [
    ...["--scope", "--quiet", "--collect", `--slice=${slice}`, `--unit=${unit}`],
    ...["--description=qemubox virtual machine", "--property=Delegate=yes"],
    ...["--property=DefaultDependencies=no", "--", "/bin/sh", "-c", enter, "sh", String(pid)],
  ], `cannot create scope ${unit} in ${slice}`);
}
