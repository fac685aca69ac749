/**
 * Whether a thread of one of the frozen processes `pids` waits for its child's exec(2), as vfork(2) and
 * posix_spawn(3) do. cgroup v2 counts it as frozen where it is, and nobody can interrupt it there: of
 * all that stands still it alone is in state D (proc_pid_stat(5)).
 */
export function isInVfork(pids: readonly number[], procfs: string = "/proc"): boolean {
  return pids.some((pid) => threads(`${procfs}/${pid}/task`).some((path) => stateOf(path) === "D"));
}

function threads(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
  } catch {
    return []; // killed, frozen as it was
  }
}

function stateOf(thread: string): string | null {
  try {
    // The name before it may hold anything, parentheses as well.
    return /^.*\) (\S)/s.exec(Deno.readTextFileSync(`${thread}/stat`))?.[1] ?? null;
  } catch {
    return null;
  }
}
