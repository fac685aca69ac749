/** Debian packages that the host itself needs before anything can be made in a root of our own. */

import { say } from "./log.ts";
import { run, which } from "./run.ts";

/**
 * The path of `program`; when it is missing, the Debian package of that name is installed, saying
 * so.
 * @throws {Error} without the program and the rights or the apt-get to install it
 */
export async function needProgram(program: string): Promise<string> {
  const found = which(program);
  if (found !== null) return found;
  if (Deno.uid() !== 0 || which("apt-get") === null) {
    throw new Error(`${program} is missing; install it (Debian: apt-get install ${program})`);
  }
  say(`${program} is missing: installing Debian's package`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run(["apt-get", "update"], { env });
  await run(["apt-get", "install", "--yes", "--no-install-recommends", program], { env });
  const installed = which(program);
  if (installed === null) throw new Error(`${program} is still missing after its installation`);
  return installed;
}
