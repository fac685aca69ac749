import { sandboxProcesses as processesOf } from "../lib/sandbox_processes.ts";

export const ROLES = ["shim", "qemu", "virtiofsd", "vhost-device-vsock"] as const;
export type Role = (typeof ROLES)[number];

/** A process of a sandbox. virtiofsd has two. */
export interface SandboxProcess {
  readonly pid: number;
  readonly role: Role;
}

/** USER_HZ, the unit of CPU time in /proc, see proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;
const STAT_UTIME = 13;

/** Returns the live processes of a sandbox; `vmName` is "namespace/id". */
export function sandboxProcesses(vmName: string): SandboxProcess[] {
  const [namespace, id] = vmName.split("/");
  return processesOf(id!, namespace).flatMap(({ pid, role }) =>
    role === "other" ? [] : [{ pid, role }]
  );
}

/** Returns the CPU seconds of a process and of its children that have exited. */
export function cpuSeconds(pid: number): number {
  return cpuSecondsOfStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
}

/** Sums utime, stime, cutime and cstime of /proc/PID/stat. Pure. */
export function cpuSecondsOfStat(stat: string): number {
  // The name, in parentheses, may contain anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const first = STAT_UTIME - 2;
  return fields.slice(first, first + 4).reduce((sum, ticks) => sum + Number(ticks), 0) /
    TICKS_PER_SECOND;
}
