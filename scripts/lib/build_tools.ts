/**
 * The programs that make the bundles of the product: Deno, and esbuild, which `deno bundle`
 * downloads from npm without a hash in deno.lock.
 */

import { fileSha256 } from "./cache.ts";
import { loud } from "./log.ts";
import { denoCacheFolder, existing } from "./paths.ts";

/** The esbuild that Deno 2.4.2 bundles with. */
const ESBUILD = {
  path: "dl/esbuild-0.25.5/esbuild-linux-x64",
  sha256: "3331e0b23c99d93d9a39e436a4838de40ca1c95ac3bcbd9874ba169d8545b634",
} as const;

/** Returns the SHA-256 of Deno that `scripts/deno` pins. */
export function pinnedDenoSha256(): string {
  const script = Deno.readTextFileSync(new URL("../deno", import.meta.url));
  const pin = /^sha256=([0-9a-f]{64})$/m.exec(script)?.[1];
  if (pin === undefined) throw new Error("scripts/deno pins no SHA-256");
  return pin;
}

/**
 * Compares Deno and esbuild with their pins, after a bundle was made. Another Deno of the right
 * version is the user's choice and gets a warning.
 *
 * @throws {Error} if esbuild is not the pinned one
 */
export async function checkBuildTools(
  deno: string = Deno.execPath(),
  denoDirectory: string = denoCacheFolder(),
): Promise<void> {
  const [sha256, pinned] = [await fileSha256(deno), pinnedDenoSha256()];
  if (sha256 !== pinned) {
    loud(`${deno} has SHA-256 ${sha256}; qemubox was measured with ${pinned}`);
  }
  const esbuild = `${denoDirectory}/${ESBUILD.path}`;
  if (existing(esbuild) === null) {
    return loud(`${esbuild} does not exist: cannot check the esbuild that bundled the programs`);
  }
  const found = await fileSha256(esbuild);
  if (found !== ESBUILD.sha256) {
    throw new Error(
      `${esbuild} has SHA-256 ${found}, not ${ESBUILD.sha256}: this is not the pinned esbuild; ` +
        "delete it and build again",
    );
  }
}
