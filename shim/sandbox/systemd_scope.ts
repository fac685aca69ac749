/** A scope that systemd shall make: systemd.scope(5). */
export interface SystemdScope {
  /** "kubepods-pod1.slice". */
  readonly slice: string;
  /** "cri-containerd-c1.scope". */
  readonly unit: string;
}

/** What a unit may be called that needs no quoting: systemd.unit(5). */
const UNIT_NAME = /^[A-Za-z0-9:_.@-]{1,200}$/;
const DEFAULT_SLICE = "system.slice";
/** It takes 20 ms; PID 1 of a host that is busy with itself may take longer. Milliseconds. */
const TIMEOUT_MS = 10_000;

/**
 * The scope of a specification's `slice:prefix:name`, the form that clients use where systemd keeps the
 * cgroups; null for other forms, and for what can be no unit's name. Pure.
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
 * Has systemd make the scope, and moves process `pid` into it: what that spawns is born there. The scope
 * is systemd's own; it goes with the last process in it.
 *
 * A shell is born in the scope, which lives until it has put the process there too: so it is systemd that
 * says where that is, and there is no time at which the scope is empty.
 *
 * @throws Error that says what systemd said.
 */
export async function enterSystemdScope(
  { slice, unit }: SystemdScope,
  pid: number,
  command = "systemd-run",
): Promise<void> {
  const enter =
    'IFS=: read -r _ _ path </proc/self/cgroup && echo "$1" >"/sys/fs/cgroup$path/cgroup.procs"';
  const { success, stderr } = await new Deno.Command(command, {
    args: [
      ...["--scope", "--quiet", "--collect", `--slice=${slice}`, `--unit=${unit}`],
      ...["--description=qemubox virtual machine", "--property=Delegate=yes"],
      ...["--property=DefaultDependencies=no", "--", "/bin/sh", "-c", enter, "sh", String(pid)],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim();
  throw new Error(`systemd made no scope ${unit} in ${slice}: ${said || "systemd-run failed"}`);
}
