/** Debian roots made by mmdebstrap and kept in the cache. */

import { hostMirror } from "./apt_sources.ts";
import { cached, hashOf } from "./cache.ts";
import { DEBIAN_SUITE, type RootRecipe } from "./debian_packages.ts";
import { needProgram } from "./host_packages.ts";
import { loud, say } from "./log.ts";
import { cacheFolder } from "./paths.ts";
import { run, which } from "./run.ts";

/** Increased when the way a root is made changes, so that it is made again. */
const ROOT_FORMAT = 1;

/**
 * Returns the path of the root that `recipe` describes. Makes it if the cache does not have it, in
 * about 30 s and 600 MB.
 *
 * @param hooks run after those of the recipe
 * @throws {Error} without root rights, mmdebstrap or a mirror
 */
export async function debianRoot(
  recipe: RootRecipe,
  hooks: readonly string[] = [],
): Promise<string> {
  const key = hashOf(JSON.stringify([ROOT_FORMAT, DEBIAN_SUITE, recipe, hooks]));
  return await cached(`roots/${recipe.name}-${key}`, async (path) => {
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
      ...[...recipe.hooks ?? [], ...hooks].map((hook) => `--customize-hook=${hook}`),
      DEBIAN_SUITE,
      path,
      hostMirror(),
    ], { logFile: cacheFolder("logs", `${recipe.name}-root.log`) });
    await Deno.chmod(path, 0o755);
    warnOfDifferences(recipe, await installedVersions(path));
  });
}

/** Returns the version of each package that is installed in a root. */
export async function installedVersions(root: string): Promise<Map<string, string>> {
  const format = "${Package}\\t${Version}\\t${db:Status-Abbrev}\\n";
  const listing = await run(["chroot", root, "dpkg-query", "--show", `--showformat=${format}`]);
  return new Map(
    listing.split("\n").map((line) => line.split("\t"))
      .filter(([, , status]) => status?.startsWith("ii"))
      .map(([name, version]) => [name!, version!]),
  );
}

function warnOfDifferences(recipe: RootRecipe, installed: ReadonlyMap<string, string>): void {
  for (const [name, measured] of Object.entries(recipe.measured)) {
    const version = installed.get(name);
    if (version !== measured) {
      loud(`${name} ${version ?? "is not installed"}; qemubox was measured with ${measured}`);
    }
  }
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
