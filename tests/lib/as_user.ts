/** Commands as another user of the host. */

import { concat } from "./bytes.ts";

/**
 * Runs a command as a user and group without any capability. Its standard input ends after `input`.
 */
export async function asUser(
  uid: number,
  command: readonly string[],
  input: Uint8Array = concat([]),
): Promise<{ code: number; stdout: Uint8Array; stderr: string }> {
  const own = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--bounding-set=-all"];
  const child = new Deno.Command("setpriv", {
    args: [...own, "--no-new-privs", "--", ...command],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const written = writeAll(child.stdin, input);
  const { code, stdout, stderr } = await child.output();
  await written;
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

/** A command may end before it has read everything. */
async function writeAll(stdin: WritableStream<Uint8Array>, input: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(input);
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
