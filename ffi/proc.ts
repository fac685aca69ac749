const START_TIME_FIELD = 22;
/** The field after the name, which is in parentheses and may contain spaces and parentheses. */
const STATE_FIELD = 3;

/**
 * Returns the start time of a process in clock ticks since boot (proc_pid_stat(5), field 22), which
 * together with the pid identifies the process until the next boot. Null if there is no such
 * process; a zombie still counts.
 */
export function processStartTime(pid: number): string | null {
  try {
    return startTimeOf(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isNoSuchProcess(error)) return null;
    throw error;
  }
}

/** Returns whether `pid` is still the process that started at `startTime`. */
export function isProcess(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}

/** Returns field 22 of a line of /proc/PID/stat, or null if `stat` is not such a line. */
export function startTimeOf(stat: string): string | null {
  const end = stat.lastIndexOf(")");
  if (end === -1) return null;
  const fields = stat.slice(end + 1).trim().split(" ");
  const value = fields[START_TIME_FIELD - STATE_FIELD];
  return value !== undefined && /^\d+$/.test(value) ? value : null;
}

/** Returns whether the process exited between open and read (ESRCH). */
function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}
