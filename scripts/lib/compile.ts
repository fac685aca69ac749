/**
 * `deno compile` of one entry module into one executable.
 *
 * The program is bundled into one JavaScript file first and compiled from a folder that holds
 * nothing else: `deno compile` of the module itself embeds every npm package whole. Measured with
 * @bufbuild/protobuf and zod: 40 ms and 58 MB of memory to start instead of 60 ms and 71 MB.
 *
 * The bundle is minified: V8 reads all of it at each start and keeps it in memory. Measured with
 * the shim: 400 instead of 910 KB, a quarter less of the start, 4 of 23 MB of private memory.
 */

import { BUILD_GLOBAL } from "../../base/mod.ts";
import { cached, hashOf, keepNewest } from "./cache.ts";
import { findDenort } from "./denort.ts";
import { say } from "./log.ts";
import { publish } from "./output.ts";
import { existing, REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

/** Raised when the way programs are compiled changes. */
const COMPILE_FORMAT = 5;
const SOURCE_TIME = new Date("2000-01-01T00:00:00Z");

/** A program that was compiled. */
export interface Compiled {
  readonly path: string;
  /** Changes exactly when the program, or its code cache, does. */
  readonly key: string;
  /**
   * Where its code cache is, if one was asked for: a file by the name that `codeCacheName` tells.
   */
  readonly codeCache: string | null;
}

export interface CompileOptions {
  /** V8's own options, "--name=value". */
  readonly v8Flags?: readonly string[];
  /**
   * What the program has as BUILD (base/version.ts): {@link buildIdentity}. Part of the cache's
   * key.
   */
  readonly identity?: string;
  /**
   * Makes V8's code cache too: what V8 made of the program when all of it was loaded, which need
   * not be parsed again. The program is run once for that, by a process that is not PID 1, and has
   * to end.
   *
   * A program that is compiled so reads the cache from /tmp. This is only safe where nobody else
   * can write there.
   */
  readonly codeCache?: boolean;
}

/** The name that the code cache of the program `name` has to have in /tmp. */
export function codeCacheName(name: string): string {
  return `deno-compile-${name}.cache`;
}

/**
 * Compiles `entry` (a path in the repository) to `_output/NAME` unless the cache has it of these
 * very inputs; says where it is.
 *
 * @throws {Error} when a code cache was asked for and the program's run left none
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
  const bundle = prefix + await bundled(entry);
  const denort = await findDenort();
  const how = [COMPILE_FORMAT, Deno.version.deno, name, codeCache, ...v8Flags].join(" ");
  const key = hashOf(how, bundle);
  const folder = await cached(`programs/${name}-${key}`, async (folder) => {
    say(`compiling ${entry} with denort from ${denort.origin}`);
    // The folder's name and the file's time are embedded: fixed ones give the same bytes each time.
    const source = `${folder}/qemubox`;
    await Deno.mkdir(source, { recursive: true });
    await Deno.writeTextFile(`${source}/main.js`, bundle);
    await Deno.utime(`${source}/main.js`, SOURCE_TIME, SOURCE_TIME);
    await run(
      [
        ...[Deno.execPath(), "compile", "--quiet", "--no-config", "--no-check", "--allow-all"],
        ...(v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`]),
        // On a host the cache would lie under a name that all can guess in /tmp, where whoever
        // makes it first has root run his code. It is worth 20 ms of a start.
        ...(codeCache ? [] : ["--no-code-cache"]),
        ...["--output", `${folder}/${name}`, "main.js"],
      ],
      { cwd: source, env: denort.env },
    );
    if (codeCache) await makeCodeCache(folder, name);
  });
  await keepNewest("programs", `${name}-`);
  return {
    path: await publish(`${folder}/${name}`, name),
    key,
    codeCache: codeCache ? `${folder}/${codeCacheName(name)}` : null,
  };
}

/**
 * The cache is of modules by their names, which begin with the program's /tmp: `folder` is that
 * here.
 */
async function makeCodeCache(folder: string, name: string): Promise<void> {
  const inTmp = 'mount --bind "$1" /tmp; exec "/tmp/$2"';
  await run([
    ...["unshare", "--mount", "--propagation", "private"],
    ...["/bin/sh", "-ec", inTmp, "sh", folder, name],
  ]);
  if (existing(`${folder}/${codeCacheName(name)}`) === null) {
    throw new Error(`${name} left no code cache ${codeCacheName(name)} in /tmp`);
  }
}

/** One JavaScript text of `entry` and all that it imports; takes a fraction of a second. */
async function bundled(entry: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "qemubox-bundle." });
  try {
    const output = `${folder}/main.js`;
    const bundle = [Deno.execPath(), "bundle", "--quiet", "--platform", "deno", "--minify"];
    await run([...bundle, "--output", output, `${REPOSITORY}/${entry}`], { cwd: REPOSITORY });
    return await Deno.readTextFile(output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
