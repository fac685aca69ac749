/**
 * Returns whether a thread of one of the frozen processes `pids` waits for its child's exec(2), as
 * vfork(2) and posix_spawn(3) do. cgroup v2 counts it as frozen there, and nothing can interrupt
 * it: of all frozen threads only such a one is in state D (proc_pid_stat(5)).
 */
export function isInVfork(pids: readonly number[], procfs: string = "/proc"): boolean {
  return pids.some((pid) => threads(`${procfs}/${pid}/task`).some((path) => stateOf(path) === "D"));
}

function threads(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`);
  } catch {
    return []; // killed while frozen
  }
}

function stateOf(thread: string): string | null {
  try {
    // The name before the state may contain any character, parentheses included.
    return /^.*\) (\S)/s.exec(Deno.readTextFileSync(`${thread}/stat`))?.[1] ?? null;
  } catch {
    return null; // killed while frozen: ENOENT or ESRCH (proc(5))
  }
}
