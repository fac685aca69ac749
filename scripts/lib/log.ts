/** Progress messages, on standard error: standard output belongs to the command. */

const started = performance.now();

/** Prints one line of progress, with the seconds since this process started. */
export function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  console.error(`[${seconds}s] ${text}`);
}

/** Prints a warning: something differs from what qemubox was measured with, or is degraded. */
export function loud(text: string): void {
  const [on, off] = Deno.stderr.isTerminal() ? ["\x1b[1;33m", "\x1b[0m"] : ["", ""];
  console.error(`${on}WARNING: ${text}${off}`);
}
