/**
 * `deno compile` of one entry module into one executable.
 *
 * The program is first bundled into one JavaScript file, which is compiled from a directory of its
 * own: `deno compile` of the module itself embeds complete npm packages. Measured with
 * @bufbuild/protobuf and zod: a start takes 40 ms and 58 MB of memory instead of 60 ms and 71 MB.
 *
 * The bundle is minified: V8 reads all of it at every start and keeps it in memory. Measured with
 * the shim: 400 instead of 910 KB, a start a quarter shorter, 4 of 23 MB less private memory.
 */

import { BUILD_GLOBAL } from "../../base/mod.ts";
import { bundled } from "./bundle.ts";
import { checkBuildTools } from "./build_tools.ts";
import { cached, hashOf, keepNewest } from "./cache.ts";
import { denortSha256, findDenort } from "./denort.ts";
import { say } from "./log.ts";
import { publish } from "./output.ts";
import { existing } from "./paths.ts";
import { run } from "./run.ts";

/** Increased when the way programs are compiled changes. */
const COMPILE_FORMAT = 5;
const SOURCE_TIME = new Date("2000-01-01T00:00:00Z");

/** A compiled program. */
export interface Compiled {
  readonly path: string;
  /** Changes if and only if the program or its code cache does. */
  readonly key: string;
  /** Path of its code cache, a file named {@link codeCacheName}; null without one. */
  readonly codeCache: string | null;
  /** The npm packages that the bundle has code of, as NAME@VERSION, sorted. */
  readonly npmPackages: readonly string[];
  /** SHA-256 of its denort. */
  readonly denortSha256: string;
}

export interface CompileOptions {
  /** V8's own options, "--name=value". */
  readonly v8Flags?: readonly string[];
  /** BUILD of the program (base/version.ts); see {@link buildIdentity}. Part of the cache's key. */
  readonly identity?: string;
  /**
   * Whether to make V8's code cache, too: the result of parsing and compiling the whole program.
   * The program runs once for that, not as PID 1, and has to exit.
   *
   * A program with this option reads the cache from /tmp, which is only safe where nobody else can
   * write there.
   */
  readonly codeCache?: boolean;
}

/** Returns the name that the code cache of the program `name` must have in /tmp. */
export function codeCacheName(name: string): string {
  return `deno-compile-${name}.cache`;
}

/**
 * Compiles `entry` (a path in the repository) to `_output/NAME`, unless the cache has the program
 * for the same inputs.
 *
 * @throws {Error} when a requested code cache was not written by the program
 */
export async function compile(
  entry: string,
  name: string,
  { v8Flags = [], identity, codeCache = false }: CompileOptions = {},
): Promise<Compiled> {
  // In front of the bundle, where it is set before any module of the program is evaluated.
  const prefix = identity === undefined
    ? ""
    : `globalThis.${BUILD_GLOBAL}=${JSON.stringify(identity)};\n`;
  const { text, npmPackages } = await bundled(entry);
  const bundle = prefix + text;
  const denort = await findDenort();
  const how = [COMPILE_FORMAT, Deno.version.deno, name, codeCache, ...v8Flags].join(" ");
  const key = hashOf(how, denort.sha256, bundle);
  const directory = await cached(`programs/${name}-${key}`, async (directory) => {
    await checkBuildTools();
    say(`compiling ${entry} with denort from ${denort.origin}`);
    // The directory's name and the file's time are embedded: fixed ones make the bytes
    // reproducible.
    const source = `${directory}/qemubox`;
    await Deno.mkdir(source, { recursive: true });
    await Deno.writeTextFile(`${source}/main.js`, bundle);
    await Deno.utime(`${source}/main.js`, SOURCE_TIME, SOURCE_TIME);
    await run(
      [
        ...[Deno.execPath(), "compile", "--quiet", "--no-config", "--no-check", "--allow-all"],
        ...(v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`]),
        // On a host the cache would have a predictable name in /tmp, and whoever creates it first
        // has root run their code. It saves 20 ms of a start.
        ...(codeCache ? [] : ["--no-code-cache"]),
        ...["--output", `${directory}/${name}`, "main.js"],
      ],
      { cwd: source, env: denort.env },
    );
    const sha256 = await denortSha256(`${directory}/${name}`);
    if (sha256 !== denort.sha256) {
      throw new Error(
        `${name} has a denort of SHA-256 ${sha256}, not ${denort.sha256}; delete the directory dl ` +
          "of Deno's cache and build again",
      );
    }
    if (codeCache) await makeCodeCache(directory, name);
  });
  await keepNewest("programs", `${name}-`);
  return {
    path: await publish(`${directory}/${name}`, name),
    key,
    codeCache: codeCache ? `${directory}/${codeCacheName(name)}` : null,
    npmPackages,
    denortSha256: denort.sha256,
  };
}

/**
 * Runs the program once with `directory` as its /tmp: the cache is keyed by module names, which
 * begin with the program's temporary directory.
 */
async function makeCodeCache(directory: string, name: string): Promise<void> {
  const inTmp = 'mount --bind "$1" /tmp; exec "/tmp/$2"';
  await run([
    ...["unshare", "--mount", "--propagation", "private"],
    ...["/bin/sh", "-ec", inTmp, "sh", directory, name],
  ]);
  if (existing(`${directory}/${codeCacheName(name)}`) === null) {
    throw new Error(`${name} left no code cache ${codeCacheName(name)} in /tmp`);
  }
}
