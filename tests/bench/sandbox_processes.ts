export const ROLES = ["shim", "qemu", "virtiofsd", "vhost-device-vsock"] as const;
export type Role = (typeof ROLES)[number];

/** A process of a sandbox. virtiofsd has two. */
export interface SandboxProcess {
  readonly pid: number;
  readonly role: Role;
}

/** USER_HZ: what /proc counts processor time in, see proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;
const STAT_UTIME = 13;

/**
 * The living processes of a sandbox, `vmName` being "namespace/id": what the shim made by its
 * environment, the shim by its arguments.
 */
export function sandboxProcesses(vmName: string): SandboxProcess[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }): SandboxProcess[] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = (file: string) => Deno.readTextFileSync(`/proc/${name}/${file}`).split("\0");
      const args = words("cmdline");
      const isShim = args.includes("serve") && args.includes(vmName.split("/")[1]!);
      if (!isShim && !words("environ").includes(`QEMUBOX_VM=${vmName}`)) return [];
      const role = isShim ? "shim" : roleOf(args[0] ?? "");
      return role === null ? [] : [{ pid: Number(name), role }];
    } catch {
      return []; // It has just ended.
    }
  });
}

/** Processor time that a process has used, with that of its children that have ended. Seconds. */
export function cpuSeconds(pid: number): number {
  return cpuSecondsOfStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
}

/** From /proc/PID/stat: utime, stime, cutime and cstime. Pure. */
export function cpuSecondsOfStat(stat: string): number {
  // The name, in parentheses, may contain anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const first = STAT_UTIME - 2;
  return fields.slice(first, first + 4).reduce((sum, ticks) => sum + Number(ticks), 0) /
    TICKS_PER_SECOND;
}

function roleOf(program: string): Role | null {
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (name.startsWith("qemu-system-")) return "qemu";
  return name === "virtiofsd" || name === "vhost-device-vsock" ? name : null;
}
