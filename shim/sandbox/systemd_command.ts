/** A call takes 20 ms, longer while the host's PID 1 is busy. */
const TIMEOUT_MS = 10_000;

/**
 * Runs one of systemd's commands. Its deadline is 10 s.
 *
 * @param cannot what failed if the command does: "cannot create scope b.scope".
 * @throws {Error} with `cannot` and the command's stderr, or because it cannot be run.
 */
export async function runSystemdCommand(
  command: string,
  args: readonly string[],
  cannot: string,
): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim();
  throw new Error(`systemd ${cannot}: ${said || `${command} failed`}`);
}
