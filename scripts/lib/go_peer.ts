/**
 * Programs in Go that tests need and Debian does not package, built from their modules. Each
 * module's go.sum pins its dependencies.
 */

import { cached, hashOf, keepNewest, removeTree } from "./cache.ts";
import { say } from "./log.ts";
import { cacheFolder, existing, OUTPUT } from "./paths.ts";
import { CommandError, run } from "./run.ts";

/** A module and the programs of it that are built. */
export interface GoPeer {
  /** Name of its directories; the one in `_output/` has the version, too. */
  readonly name: string;
  readonly module: string;
  /** Without the "v". */
  readonly version: string;
  /** Hash of the module, as in go.sum. */
  readonly sum: string;
  /** Directories below cmd/ of the module. */
  readonly programs: readonly string[];
  /** Go's build tags: parts that no test needs are left out to save time. */
  readonly tags: string;
  /** Variable of the version that the programs print: package path in the module, and name. */
  readonly versionVariable: string;
}

/** Output of Go when a module cannot be downloaded. */
const NOT_FETCHED =
  /dial tcp|no such host|i\/o timeout|connection (refused|reset)|reading https?:|proxyconnect/;

/** Thrown when a module cannot be downloaded; tests that need the program are skipped then. */
export class OutOfReach extends Error {
  override readonly name = "OutOfReach";
}

/** Returns the directory of its programs in the testbed. */
export function goPeerDirectory({ name, version }: GoPeer): string {
  return `${OUTPUT}/${name}-${version}`;
}

/**
 * Builds the programs, unless the cache has them: a minute or two on 2 CPUs.
 *
 * @returns the directory of the programs
 * @throws {OutOfReach} when a module cannot be downloaded
 * @throws {CommandError} when the build fails
 */
export async function buildGoPeer(peer: GoPeer): Promise<string> {
  const { name, module, version, sum, tags, programs } = peer;
  const key = hashOf(module, version, sum, tags);
  const directory = await cached(`peers/${name}-${key}`, (path) => make(peer, path)).catch(
    (error) => {
      const isFetch = error instanceof CommandError && NOT_FETCHED.test(error.output);
      throw isFetch ? new OutOfReach(`${name} ${version}: ${lastLine(error)}`) : error;
    },
  );
  await keepNewest("peers", `${name}-`);
  const place = goPeerDirectory(peer);
  const unfinished = `${place}.new`;
  await removeTree(unfinished);
  await Deno.mkdir(unfinished, { recursive: true });
  for (const program of programs) {
    await Deno.copyFile(`${directory}/${program}`, `${unfinished}/${program}`);
  }
  await removeTree(place);
  await Deno.rename(unfinished, place);
  return place;
}

async function make(peer: GoPeer, directory: string): Promise<void> {
  const { name, module, version, sum, tags, programs, versionVariable } = peer;
  say(`building ${name} ${version} for tests`);
  const asked = ["go", "mod", "download", "-json", `${module}@v${version}`];
  // In a directory outside of any module.
  const { Dir, Sum } = JSON.parse(await run(asked, { cwd: "/" }));
  if (Sum !== sum) throw new Error(`module ${module} has hash ${Sum}, not ${sum}`);
  await Deno.mkdir(cacheFolder("logs"), { recursive: true });
  await run([
    ...["go", "build", "-mod=readonly", "-trimpath", "-tags", tags],
    ...["-ldflags", `-s -w -X ${module}/${versionVariable}=${version}`],
    ...["-o", `${directory}/`, ...programs.map((program) => `./cmd/${program}`)],
  ], { cwd: Dir, env: { CGO_ENABLED: "0" }, logFile: cacheFolder("logs", `${name}.log`) });
  for (const program of programs) {
    if (existing(`${directory}/${program}`) === null) {
      throw new Error(`go build wrote no ${program}`);
    }
  }
}

/** The last line about the network, without addresses, which may be private. */
function lastLine({ output }: CommandError): string {
  const line = output.trimEnd().split("\n").findLast((line) => NOT_FETCHED.test(line)) ?? "";
  return line.replaceAll(/https?:\S+/g, "…").trim();
}
