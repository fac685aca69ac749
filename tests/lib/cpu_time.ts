import { delay } from "../../base/mod.ts";

/** USER_HZ, the unit of CPU time in /proc, see proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;
const STAT_UTIME = 13;

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

/** Returns the share of a CPU that a process uses in the next `ms` milliseconds, in percent. */
export async function cpuPercent(pid: number, ms: number): Promise<number> {
  const [before, startedAt] = [cpuSeconds(pid), performance.now()];
  await delay(ms);
  return (cpuSeconds(pid) - before) / (performance.now() - startedAt) * 100_000;
}
