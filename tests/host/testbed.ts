/** Runs scripts/testbed from outside. */

/** Path of the testbed's program. */
export const TESTBED = new URL("../../scripts/testbed", import.meta.url).pathname;

/** Exit status and output of a testbed. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Defines a test that needs root, and is skipped without. */
export function rootTest(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({ name: `${name} (skipped without root rights)`, ignore, fn });
}

/** Runs the testbed with these arguments until it exits. */
export async function runTestbed(args: readonly string[], stdin = ""): Promise<Outcome> {
  const child = new Deno.Command(TESTBED, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
