/** `deno bundle` of one entry module and everything that it imports. */

import { REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

/** A program as one JavaScript text. */
export interface Bundle {
  readonly text: string;
  /** The npm packages that it has code of, as NAME@VERSION, sorted. */
  readonly npmPackages: readonly string[];
}

/**
 * Bundles `entry` (a path in the repository) in a fraction of a second. `--frozen`: a package that
 * deno.lock does not have is an error.
 */
export async function bundled(entry: string): Promise<Bundle> {
  const directory = await Deno.makeTempDir({ prefix: "qemubox-bundle." });
  try {
    const output = `${directory}/main.js`;
    await run([
      ...[Deno.execPath(), "bundle", "--quiet", "--frozen", "--platform", "deno", "--minify"],
      // Beside the bundle, which stays as it is: it names the files that the bundle is made of.
      "--sourcemap=external",
      ...["--output", output, `${REPOSITORY}/${entry}`],
    ], { cwd: REPOSITORY });
    const { sources } = JSON.parse(await Deno.readTextFile(`${output}.map`));
    return { text: await Deno.readTextFile(output), npmPackages: npmPackagesOf(sources) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * Returns the npm packages, as NAME@VERSION, sorted, that `sources` are from: files of Deno's cache
 * are …/npm/REGISTRY/NAME/VERSION/….
 */
export function npmPackagesOf(sources: readonly string[]): string[] {
  const found = sources.flatMap((path) => {
    const match = /\/npm\/[^/]+\/((?:@[^/]+\/)?[^/@]+)\/(\d+\.\d+\.\d+[^/]*)\//.exec(path);
    return match === null ? [] : [`${match[1]}@${match[2]}`];
  });
  return [...new Set(found)].sort();
}
