/** Debian packages that the host needs before it can make a Debian root. */

import { say } from "./log.ts";
import { run, which } from "./run.ts";

/**
 * Returns the path of `program`. Installs the Debian package of that name if it is missing.
 *
 * @throws {Error} when it is missing and cannot be installed: no root rights or no apt-get
 */
export async function needProgram(program: string): Promise<string> {
  const found = which(program);
  if (found !== null) return found;
  if (Deno.uid() !== 0 || which("apt-get") === null) {
    throw new Error(`${program} is missing; install it (Debian: apt-get install ${program})`);
  }
  say(`${program} is missing, installing Debian's package`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run(["apt-get", "update"], { env });
  await run(["apt-get", "install", "--yes", "--no-install-recommends", program], { env });
  const installed = which(program);
  if (installed === null) {
    throw new Error(`${program} is still missing after installing its package`);
  }
  return installed;
}
