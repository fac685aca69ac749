/** Debian roots made by mmdebstrap, kept in the cache. */

import { hostMirror } from "./apt_sources.ts";
import { cached, hashOf } from "./cache.ts";
import { DEBIAN_SUITE, type RootRecipe } from "./debian_packages.ts";
import { needProgram } from "./host_packages.ts";
import { loud, say } from "./log.ts";
import { cacheFolder } from "./paths.ts";
import { run, which } from "./run.ts";

/** Raised when the way a root is made changes: the cache then makes it anew. */
const ROOT_FORMAT = 1;

/**
 * The path of the root that `recipe` describes, made now if the cache has none. Takes about 30 s
 * and 600 MB. `hooks` are more of the recipe's.
 * @throws {Error} without root rights, mmdebstrap or a mirror
 */
export async function debianRoot(
  recipe: RootRecipe,
  hooks: readonly string[] = [],
): Promise<string> {
  const key = hashOf(JSON.stringify([ROOT_FORMAT, DEBIAN_SUITE, recipe, hooks]));
  return await cached(`roots/${recipe.name}-${key}`, async (path) => {
    if (Deno.uid() !== 0) {
      throw new Error("making a Debian root needs root rights; run this as root");
    }
    const mmdebstrap = await needProgram("mmdebstrap");
    say(`making the Debian root "${recipe.name}" (${DEBIAN_SUITE}, about half a minute)`);
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
    sayDifferences(recipe, await installedVersions(path));
  });
}

/** Package → version of all that is installed in a root. */
export async function installedVersions(root: string): Promise<Map<string, string>> {
  const format = "${Package}\\t${Version}\\t${db:Status-Abbrev}\\n";
  const listing = await run(["chroot", root, "dpkg-query", "--show", `--showformat=${format}`]);
  return new Map(
    listing.split("\n").map((line) => line.split("\t"))
      .filter(([, , status]) => status?.startsWith("ii"))
      .map(([name, version]) => [name!, version!]),
  );
}

function sayDifferences(recipe: RootRecipe, installed: ReadonlyMap<string, string>): void {
  for (const [name, measured] of Object.entries(recipe.measured)) {
    const version = installed.get(name);
    if (version !== measured) {
      loud(`${name} ${version ?? "is not installed"}: qemubox was measured with ${measured}`);
    }
  }
}

/**
 * How apt shall download: the host's own proxies, and no limit on the age of the archive's index. A
 * mirror that stands still is as good to us as any, its signature is checked all the same.
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
