/** Debian roots made by mmdebstrap and kept in the cache. */

import { hostMirror } from "./apt_sources.ts";
import { cached, hashOf } from "./cache.ts";
import { DEBIAN_SUITE, type RootRecipe } from "./debian_packages.ts";
import { differences, packagesIn, pinsOf } from "./debian_pins.ts";
import { needProgram } from "./host_packages.ts";
import { loud, say } from "./log.ts";
import { cacheFolder } from "./paths.ts";
import { run, which } from "./run.ts";

/** Increased when the way a root is made changes, so that it is made again. */
const ROOT_FORMAT = 1;
const RECORD_PACKAGES = Deno.readTextFileSync(new URL("record_packages.sh", import.meta.url));
/** Roots whose packages this process has compared with the pins. */
const compared = new Set<string>();

/**
 * Returns the path of the root that `recipe` describes. Makes it if the cache does not have it, in
 * about 30 s and 600 MB. Warns of packages that are not the pinned ones: of each when the root is
 * made, of their number later.
 *
 * @param hooks run after those of the recipe
 * @throws {Error} without root rights, mmdebstrap or a mirror; if a package has other bytes than
 * the pinned one of its version
 */
export async function debianRoot(
  recipe: RootRecipe,
  hooks: readonly string[] = [],
): Promise<string> {
  const allHooks = [...recipe.hooks ?? [], ...hooks, RECORD_PACKAGES];
  const { name, packages } = recipe;
  const key = hashOf(JSON.stringify([ROOT_FORMAT, DEBIAN_SUITE, name, packages, allHooks]));
  const root = await cached(`roots/${name}-${key}`, async (path) => {
    await make(recipe, allHooks, path);
    compared.add(name);
    for (const line of differences(pinsOf(name), packagesIn(path))) loud(line);
  });
  if (!compared.has(name)) {
    compared.add(name);
    const lines = differences(pinsOf(name), packagesIn(root));
    if (lines.length > 0) {
      loud(
        `Debian root "${name}" differs from its pins in ${lines.length} packages, of which the ` +
          `first is ${lines[0]}`,
      );
    }
  }
  return root;
}

async function make(recipe: RootRecipe, hooks: readonly string[], path: string): Promise<void> {
  if (Deno.uid() !== 0) {
    throw new Error("making a Debian root needs root rights; run as root");
  }
  const mmdebstrap = await needProgram("mmdebstrap");
  say(`making Debian root "${recipe.name}" (${DEBIAN_SUITE}, about half a minute)`);
  await Deno.mkdir(cacheFolder("logs"), { recursive: true });
  await run([
    mmdebstrap,
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    ...(await aptOptions()).map((option) => `--aptopt=${option}`),
    `--include=${recipe.packages.join(",")}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    DEBIAN_SUITE,
    path,
    hostMirror(),
  ], { logFile: cacheFolder("logs", `${recipe.name}-root.log`) });
  await Deno.chmod(path, 0o755);
}

/**
 * Options of apt: the host's proxies, and no limit on the age of the archive's index. A mirror that
 * is not updated any more is fine; its signature is still checked.
 */
async function aptOptions(): Promise<string[]> {
  const settings = await run([which("apt-config") ?? "apt-config", "dump"]);
  const proxies = settings.split("\n").filter((line) =>
    /^Acquire::(http|https|ftp)::[\w:.-]*(Proxy|Proxy-Auto-Detect|CaInfo|Verify-Peer)\b/i.test(line)
  ).filter((line) => !line.endsWith(' "";'));
  return [
    'Acquire::Check-Valid-Until "false"',
    'Acquire::Retries "3"',
    ...proxies.map((line) => line.replace(/;\s*$/, "")),
  ];
}
