/**
 * `deno task build:twice`: builds the programs and images from empty caches in two directories and
 * compares their hashes, in some 3 minutes. Exit status 1 if a file differs. The kernel is left
 * out: it takes too long, and build/kernel/ pins its inputs (docs/supply-chain.md).
 */

import { messageOf } from "../base/mod.ts";
import { fileSha256 } from "./lib/cache.ts";
import { say } from "./lib/log.ts";
import { REPOSITORY } from "./lib/paths.ts";
import { run } from "./lib/run.ts";
import { Scratch } from "./lib/scratch.ts";

const TARGETS: readonly string[] = ["shim", "guest", "root", "initrd"];
/** The four files that have to be the same, and what describes them. */
const FILES: readonly string[] = [
  ...["containerd-shim-qemubox-v1", "vminitd", "qemubox-root", "qemubox-initrd"],
].flatMap((name) => [name, `${name}.spdx.json`]);

/** What the two builds have different, besides their caches. */
const BUILDS = [
  { directory: "one", env: { TZ: "UTC" } },
  { directory: "a-directory-with-another-name", env: { TZ: "Asia/Kathmandu" } },
] as const;

/** File name → SHA-256. */
export type Hashes = Readonly<Record<string, string>>;

/**
 * Builds the checkout as it is, uncommitted changes of tracked files included, twice.
 *
 * @returns the hashes of both builds
 * @throws {CommandError} if it is not a checkout of git, or a build fails
 */
export async function buildTwice(): Promise<[Hashes, Hashes]> {
  await using scratch = await Scratch.make();
  const [one, other] = BUILDS;
  await copyCheckout(scratch.path);
  return [await buildIn(scratch.path, one), await buildIn(scratch.path, other)];
}

/** Copies the checkout, with its commit and its changes, for both builds before any begins. */
async function copyCheckout(scratch: string): Promise<void> {
  const [one, other] = BUILDS.map(({ directory }) => `${scratch}/${directory}`);
  const git = ["git", "-c", "safe.directory=*"];
  await run([...git, "clone", "--quiet", REPOSITORY, one!]);
  const changes = await run([...git, "-C", REPOSITORY, "diff", "--binary", "HEAD"]);
  if (changes !== "") {
    await Deno.writeTextFile(`${scratch}/changes`, changes);
    await run([...git, "-C", one!, "apply", `${scratch}/changes`]);
  }
  await run(["cp", "-a", one!, other!]);
}

async function buildIn(
  scratch: string,
  { directory, env }: (typeof BUILDS)[number],
): Promise<Hashes> {
  const checkout = `${scratch}/${directory}`;
  const cache = `${checkout}.cache`;
  say(`building from an empty cache in ${checkout}`);
  await run(["scripts/deno", "run", "--quiet", "--allow-all", "scripts/build.ts", ...TARGETS], {
    cwd: checkout,
    // This Deno is an input as well; its hash is compared with the pin.
    env: { ...env, XDG_CACHE_HOME: cache, DENO_DIR: `${cache}/deno`, DENO: Deno.execPath() },
  });
  const hashes: Record<string, string> = {};
  for (const name of FILES) hashes[name] = await fileSha256(`${checkout}/_output/${name}`);
  return hashes;
}

/** Returns a line for each file whose hashes differ. */
export function unequal(one: Hashes, other: Hashes): string[] {
  return Object.keys({ ...one, ...other })
    .filter((name) => one[name] !== other[name])
    .map((name) => `${name}: ${one[name]} and ${other[name]}`);
}

if (import.meta.main) {
  try {
    const [one, other] = await buildTwice();
    for (const [name, sha256] of Object.entries(one)) console.log(`${sha256}  ${name}`);
    const lines = unequal(one, other);
    for (const line of lines) console.error(`two builds differ: ${line}`);
    Deno.exit(lines.length > 0 ? 1 : 0);
  } catch (error) {
    console.error(`build:twice: ${messageOf(error)}`);
    Deno.exit(2);
  }
}
