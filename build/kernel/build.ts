/**
 * `deno task build:kernel`: the guest kernel out of Debian's linux-source and qemubox.config, as
 * `_output/qemubox-kernel-x86_64` (an uncompressed vmlinux with a PVH note, stripped). Built in a
 * Debian root of its own, so the host needs no compiler. About 5 minutes on 2 cores, once.
 */

import { cached, hashOf } from "../../scripts/lib/cache.ts";
import { KERNEL_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { loud, say } from "../../scripts/lib/log.ts";
import { publish } from "../../scripts/lib/output.ts";
import { cacheFolder } from "../../scripts/lib/paths.ts";
import { run } from "../../scripts/lib/run.ts";
import { formatConfig, parseConfig, unfulfilled } from "./config.ts";

/** The source that qemubox was measured with. */
const PINNED = {
  package: "linux-source-7.2",
  version: "7.2.12-1",
  sha256: "6ea01e48037651b01076e4a369d1c76051c97c3cce6f87d48b7f3a9f5fac46a8",
} as const;

/** Builds the kernel if the cache has none of these very inputs, and puts it into `_output/`. */
export async function buildKernel(): Promise<string> {
  // Comments are for people: changing one costs no build.
  const fragment = formatConfig(parseConfig(ownFile("qemubox.config")));
  const script = ownFile("build_in_root.sh");
  const root = await debianRoot(KERNEL_ROOT, [
    ownFile("fetch_source.sh").replace("@PACKAGE@", PINNED.package),
  ]);
  const source = sourceIn(root);
  const key = hashOf(fragment, script, source.version, source.sha256);
  const kernel = await cached(`kernel/${key}`, async (folder) => {
    checkSource(source);
    say(`building the kernel out of ${source.package} ${source.version} (minutes, once)`);
    await Deno.mkdir(folder);
    const scratch = `${folder}.scratch`;
    await Deno.remove(scratch, { recursive: true }).catch(() => {});
    await Deno.mkdir(scratch);
    try {
      await Deno.writeTextFile(`${scratch}/fragment.config`, fragment);
      await Deno.writeTextFile(`${scratch}/build_in_root.sh`, script);
      await inRoot(root, scratch, "configure");
      const config = await Deno.readTextFile(`${scratch}/config`);
      const missing = unfulfilled(parseConfig(fragment), parseConfig(config));
      if (missing.length > 0) {
        throw new Error(
          `build/kernel/qemubox.config asks for what ${source.package} ${source.version} does not ` +
            `give:\n${missing.map((line) => `  ${line}`).join("\n")}`,
        );
      }
      await inRoot(root, scratch, "compile");
      for (const file of ["vmlinux", "config"]) {
        await Deno.rename(`${scratch}/${file}`, `${folder}/${file}`);
      }
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
    say(`kernel built: ${folder}/vmlinux`);
  });
  return await publish(`${kernel}/vmlinux`, "qemubox-kernel-x86_64");
}

interface Source {
  readonly package: string;
  readonly version: string;
  readonly sha256: string;
}

/** What fetch_source.sh found; the hash is that of apt's index, which it has compared. */
function sourceIn(root: string): Source {
  const fact = (name: string) => Deno.readTextFileSync(`${root}/source/${name}`).trim();
  return { package: fact("package"), version: fact("version"), sha256: fact("sha256") };
}

function checkSource(source: Source): void {
  if (source.package !== PINNED.package || source.version !== PINNED.version) {
    loud(
      `the mirror has ${source.package} ${source.version}: qemubox was measured with ` +
        `${PINNED.version} of ${PINNED.package}`,
    );
  } else if (source.sha256 !== PINNED.sha256) {
    throw new Error(
      `${source.package} ${source.version} has SHA-256 ${source.sha256}, not ${PINNED.sha256}: ` +
        "this is not the source that is pinned",
    );
  }
}

/** Runs one step of build_in_root.sh in the root, whose /build is `scratch`. */
async function inRoot(root: string, scratch: string, step: string): Promise<void> {
  const setUp =
    'mkdir -p "$1/build"; mount --bind "$2" "$1/build"; mount -t proc proc "$1/proc"; ' +
    'exec chroot "$1" /bin/sh /build/build_in_root.sh "$3"';
  await Deno.mkdir(cacheFolder("logs"), { recursive: true });
  await run([
    ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"],
    ...["/bin/sh", "-ec", setUp, "sh", root, scratch, step],
  ], {
    logFile: cacheFolder("logs", `kernel-${step}.log`),
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
  });
}

function ownFile(name: string): string {
  return Deno.readTextFileSync(new URL(name, import.meta.url));
}
