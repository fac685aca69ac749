/**
 * `deno task build:kernel`: builds the guest kernel from Debian's linux-source and qemubox.config
 * as `_output/qemubox-kernel-x86_64` (an uncompressed, stripped vmlinux with a PVH note). The build
 * runs in its own Debian root, so the host needs no compiler. It takes about 5 minutes on 2 cores,
 * once.
 */

import { cached, hashOf } from "../../scripts/lib/cache.ts";
import { KERNEL_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { loud, say } from "../../scripts/lib/log.ts";
import { publish } from "../../scripts/lib/output.ts";
import { cacheFolder } from "../../scripts/lib/paths.ts";
import { run } from "../../scripts/lib/run.ts";
import { debianComponent } from "../../scripts/sbom/component.ts";
import { publishSbom } from "../../scripts/sbom/publish_sbom.ts";
import { formatConfig, parseConfig, unfulfilled } from "./config.ts";
import { weaknesses } from "./hardening.ts";

/** The kernel source that qemubox was measured with. */
const PINNED = {
  package: "linux-source-7.2",
  version: "7.2.12-1",
  sha256: "6ea01e48037651b01076e4a369d1c76051c97c3cce6f87d48b7f3a9f5fac46a8",
} as const;

/** Builds the kernel, unless the cache has one of the same inputs, and puts it into `_output/`. */
export async function buildKernel(): Promise<string> {
  // Without comments, so that changing one does not cause a build.
  const fragment = formatConfig(parseConfig(ownFile("qemubox.config")));
  const script = ownFile("build_in_root.sh");
  const root = await kernelRoot();
  const source = sourceIn(root);
  const key = hashOf(fragment, script, source.version, source.sha256);
  const kernel = await cached(`kernel/${key}`, async (directory) => {
    checkSource(source);
    say(`building the kernel from ${source.package} ${source.version} (minutes, once)`);
    await Deno.mkdir(directory);
    const scratch = `${directory}.scratch`;
    await Deno.remove(scratch, { recursive: true }).catch(() => {});
    await Deno.mkdir(scratch);
    try {
      await Deno.writeTextFile(`${scratch}/fragment.config`, fragment);
      await Deno.writeTextFile(`${scratch}/build_in_root.sh`, script);
      await inRoot(root, scratch, "configure");
      const config = await Deno.readTextFile(`${scratch}/config`);
      refuse(
        unfulfilled(parseConfig(fragment), parseConfig(config)),
        `build/kernel/qemubox.config has options that ${source.package} ${source.version} does not fulfil`,
      );
      refuseWeak(config);
      await inRoot(root, scratch, "compile");
      for (const file of ["vmlinux", "config"]) {
        await Deno.rename(`${scratch}/${file}`, `${directory}/${file}`);
      }
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
    say(`kernel built: ${directory}/vmlinux`);
  });
  // Also a kernel from the cache: the lists may have changed since it was built.
  refuseWeak(await Deno.readTextFile(`${kernel}/config`));
  await publishSbom({
    name: "qemubox-kernel-x86_64",
    version: source.version,
    file: `${kernel}/vmlinux`,
    key,
    components: () =>
      Promise.resolve([
        { ...debianComponent({ ...source, name: source.package }, "all"), isSource: true },
      ]),
  });
  return await publish(`${kernel}/vmlinux`, "qemubox-kernel-x86_64");
}

/** Returns the Debian root with the compiler and the source. */
export function kernelRoot(): Promise<string> {
  return debianRoot(KERNEL_ROOT, [
    ownFile("fetch_source.sh").replace("@PACKAGE@", PINNED.package),
  ]);
}

function refuseWeak(config: string): void {
  refuse(
    weaknesses(parseConfig(config)),
    "the kernel's configuration is not what build/kernel/hardening.ts demands",
  );
}

/** @throws Error if there are any `lines`, with `why` in front. */
function refuse(lines: readonly string[], why: string): void {
  if (lines.length > 0) {
    throw new Error(`${why}:\n${lines.map((line) => `  ${line}`).join("\n")}`);
  }
}

/** A kernel source in a Debian root. */
interface Source {
  readonly package: string;
  readonly version: string;
  readonly sha256: string;
}

/**
 * Reads the facts that fetch_source.sh left. It has checked the file against the hash of apt's
 * index.
 */
function sourceIn(root: string): Source {
  const fact = (name: string) => Deno.readTextFileSync(`${root}/source/${name}`).trim();
  return { package: fact("package"), version: fact("version"), sha256: fact("sha256") };
}

function checkSource(source: Source): void {
  if (source.package !== PINNED.package || source.version !== PINNED.version) {
    loud(
      `the mirror has ${source.package} ${source.version}, but qemubox was measured with ` +
        `${PINNED.package} ${PINNED.version}`,
    );
  } else if (source.sha256 !== PINNED.sha256) {
    throw new Error(
      `${source.package} ${source.version} has SHA-256 ${source.sha256}, not ${PINNED.sha256}: ` +
        "this is not the pinned source",
    );
  }
}

/** Runs a step of build_in_root.sh in the root, with `scratch` as its /build. */
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
