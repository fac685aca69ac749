/** The line of /proc/PID/stat: the name in parentheses may hold spaces and parentheses itself. */
const START_TIME_FIELD = 22;
/** The field after the name. */
const STATE_FIELD = 3;

/**
 * When a process started, in clock ticks since boot (proc_pid_stat(5), field 22): with the pid it
 * names one process for as long as the machine is up. Null when there is no such process; a zombie
 * is one.
 */
export function processStartTime(pid: number): string | null {
  try {
    return startTimeOf(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isNoSuchProcess(error)) return null;
    throw error;
  }
}

/** Whether `pid` still is the process that started at `startTime`. */
export function isProcess(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}

/** Field 22 of a line of /proc/PID/stat, or null when it is no such line. */
export function startTimeOf(stat: string): string | null {
  const end = stat.lastIndexOf(")");
  if (end === -1) return null;
  const fields = stat.slice(end + 1).trim().split(" ");
  const value = fields[START_TIME_FIELD - STATE_FIELD];
  return value !== undefined && /^\d+$/.test(value) ? value : null;
}

/** ESRCH: the process went away between open and read. */
function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}
