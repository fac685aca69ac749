/**
 * `deno compile` of one entry module into one executable.
 *
 * The program is bundled into one JavaScript file first and compiled from a folder that holds nothing
 * else: `deno compile` of the module itself embeds every npm package whole. Measured with
 * @bufbuild/protobuf and zod: 40 ms and 58 MB of memory to start instead of 60 ms and 71 MB.
 *
 * The bundle is minified: V8 reads all of it at each start and keeps it in memory. Measured with the
 * shim: 400 instead of 910 KB, a quarter less of the start, 4 of 23 MB of private memory.
 */

import { cached, hashOf, keepNewest } from "./cache.ts";
import { findDenort } from "./denort.ts";
import { say } from "./log.ts";
import { publish } from "./output.ts";
import { REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

/** Raised when the way programs are compiled changes. */
const COMPILE_FORMAT = 3;
const SOURCE_TIME = new Date("2000-01-01T00:00:00Z");

/** A program that was compiled. */
export interface Compiled {
  readonly path: string;
  /** Changes exactly when the program does. */
  readonly key: string;
}

/**
 * Compiles `entry` (a path in the repository) to `_output/NAME` unless the cache has it of these very
 * inputs; says where it is.
 *
 * @param v8Flags V8's own options, "--name=value"
 */
export async function compile(
  entry: string,
  name: string,
  v8Flags: readonly string[] = [],
): Promise<Compiled> {
  const bundle = await bundled(entry);
  const denort = await findDenort();
  const key = hashOf([COMPILE_FORMAT, Deno.version.deno, name, ...v8Flags].join(" "), bundle);
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
        // V8's code cache would lie under a name that all can guess in /tmp, where whoever makes it
        // first has root run his code. It is worth 20 ms of a start.
        ...(v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`]),
        ...["--no-code-cache", "--output", `${folder}/${name}`, "main.js"],
      ],
      { cwd: source, env: denort.env },
    );
  });
  await keepNewest("programs", `${name}-`);
  return { path: await publish(`${folder}/${name}`, name), key };
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
