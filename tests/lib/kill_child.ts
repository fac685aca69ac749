/** Sends SIGKILL to a child process, unless it has exited. */
export function killChild(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has exited.
  }
}
