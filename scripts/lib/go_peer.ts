/**
 * Programs in Go that tests need and Debian does not have, built out of their own modules, whose
 * go.sum says what else goes in.
 */

import { cached, hashOf, keepNewest, removeTree } from "./cache.ts";
import { say } from "./log.ts";
import { cacheFolder, existing, OUTPUT } from "./paths.ts";
import { CommandError, run } from "./run.ts";

/** What is built. */
export interface GoPeer {
  /** Of its folders: in `_output/` with the version. */
  readonly name: string;
  readonly module: string;
  /** Without the "v". */
  readonly version: string;
  /** The module's hash, as go.sum has it. */
  readonly sum: string;
  /** Folders below cmd/ of the module. */
  readonly programs: readonly string[];
  /** Go's build tags; what no test needs only costs time. */
  readonly tags: string;
  /** The package's variable with the version that the programs tell. */
  readonly versionVariable: string;
}

/** How Go says that a module could not be fetched. */
const NOT_FETCHED =
  /dial tcp|no such host|i\/o timeout|connection (refused|reset)|reading https?:|proxyconnect/;

/** Thrown where a module of it cannot be had: the tests with it are skipped there. */
export class OutOfReach extends Error {
  override readonly name = "OutOfReach";
}

/** Where tests in the testbed find its programs. */
export function goPeerFolder({ name, version }: GoPeer): string {
  return `${OUTPUT}/${name}-${version}`;
}

/**
 * Builds it, unless the cache has it: a minute or two on 2 processors.
 * @returns the folder of its programs.
 * @throws {OutOfReach} its modules cannot be fetched; {CommandError} it cannot be built.
 */
export async function buildGoPeer(peer: GoPeer): Promise<string> {
  const { name, module, version, sum, tags, programs } = peer;
  const key = hashOf(module, version, sum, tags);
  const folder = await cached(`peers/${name}-${key}`, (path) => make(peer, path)).catch((error) => {
    const isFetch = error instanceof CommandError && NOT_FETCHED.test(error.output);
    throw isFetch ? new OutOfReach(`${name} ${version}: ${lastLine(error)}`) : error;
  });
  await keepNewest("peers", `${name}-`);
  const place = goPeerFolder(peer);
  const unfinished = `${place}.new`;
  await removeTree(unfinished);
  await Deno.mkdir(unfinished, { recursive: true });
  for (const program of programs) {
    await Deno.copyFile(`${folder}/${program}`, `${unfinished}/${program}`);
  }
  await removeTree(place);
  await Deno.rename(unfinished, place);
  return place;
}

async function make(peer: GoPeer, folder: string): Promise<void> {
  const { name, module, version, sum, tags, programs, versionVariable } = peer;
  say(`building ${name} ${version}, for tests`);
  const asked = ["go", "mod", "download", "-json", `${module}@v${version}`];
  // Outside of any module.
  const { Dir, Sum } = JSON.parse(await run(asked, { cwd: "/" }));
  if (Sum !== sum) throw new Error(`${module} has the hash ${Sum}, not ${sum}`);
  await Deno.mkdir(cacheFolder("logs"), { recursive: true });
  await run([
    ...["go", "build", "-mod=readonly", "-trimpath", "-tags", tags],
    ...["-ldflags", `-s -w -X ${module}/${versionVariable}=${version}`],
    ...["-o", `${folder}/`, ...programs.map((program) => `./cmd/${program}`)],
  ], { cwd: Dir, env: { CGO_ENABLED: "0" }, logFile: cacheFolder("logs", `${name}.log`) });
  for (const program of programs) {
    if (existing(`${folder}/${program}`) === null) throw new Error(`go build made no ${program}`);
  }
}

/** Without addresses: they are this machine's business. */
function lastLine({ output }: CommandError): string {
  const line = output.trimEnd().split("\n").findLast((line) => NOT_FETCHED.test(line)) ?? "";
  return line.replaceAll(/https?:\S+/g, "…").trim();
}
