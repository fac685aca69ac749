/**
 * `deno task build:root`: makes `_output/qemubox-root` with vminitd and crun, an EROFS image that
 * is the root file system of all guests, on a read-only disk. It is not compressed: the host's page
 * cache holds it once for all of them, and a guest reads only the pages that it uses.
 */

import { codeCacheName, compile, type Compiled } from "../../scripts/lib/compile.ts";
import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { packageRecord } from "../../scripts/lib/debian_pins.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { say } from "../../scripts/lib/log.ts";
import { publish } from "../../scripts/lib/output.ts";
import { run } from "../../scripts/lib/run.ts";
import { debianComponents } from "../../scripts/sbom/debian_components.ts";
import { programProduct, publishProgramSbom } from "../../scripts/sbom/programs.ts";
import { productComponent, publishSbom } from "../../scripts/sbom/publish_sbom.ts";
import { type DebianFiles, debianFiles, recorded } from "../debian_files.ts";
import { rootEntries, type RootEntry } from "./manifest.ts";

/** Raise it if the way of making the image changes. */
const IMAGE_FORMAT = 1;
/** Keeps time and users of the build host out: the same inputs give the same bytes. */
const REPRODUCIBLE = ["-T0", "-U00000000-0000-4000-8000-000000000000", "--all-root"];

/**
 * Compiles PID 1 of the guest, with its code cache. With `--no-lazy` the cache has all functions,
 * not only those that run while the program loads, and a container's first byte comes 0.1 s earlier
 * under TCG.
 *
 * @param identity of the build: scripts/lib/build_identity.ts
 */
export async function compileVminitd(identity: string): Promise<Compiled> {
  const v8Flags = ["--no-lazy"];
  const vminitd = await compile("guest/main.ts", "vminitd", { codeCache: true, identity, v8Flags });
  await publishProgramSbom(vminitd, identity);
  return vminitd;
}

/**
 * Builds the root image, unless the cache has one of the same inputs, and puts it into `_output/`.
 *
 * @param identity of the build, which vminitd gets
 */
export async function buildRoot(identity: string): Promise<string> {
  const vminitd = await compileVminitd(identity);
  const { path, key, root } = await buildImage(vminitd, "qemubox-root");
  await publishSbom({
    name: "qemubox-root",
    version: identity,
    file: path,
    key,
    components: async () => {
      const { files, paths } = recorded(debianFiles(root));
      await entriesOf(vminitd, files);
      return [
        await productComponent(programProduct(vminitd, identity)),
        ...debianComponents(root, paths),
      ];
    },
  });
  return path;
}

/** Builds a root image for the benchmark, with a program that does nothing in place of vminitd. */
export async function buildBareRoot(): Promise<string> {
  const program = await compile("tests/bench/bare_program.ts", "qemubox-bare-program");
  return (await buildImage(program, "qemubox-bare-root")).path;
}

/** Builds a root image with a vminitd that was taken over, for tests. */
export async function buildHostileRoot(identity: string): Promise<string> {
  const entry = "tests/security/hostile_vminitd.ts";
  const program = await compile(entry, "qemubox-hostile-vminitd", { identity });
  return (await buildImage(program, "qemubox-hostile-root")).path;
}

/** A root image in `_output/`. */
interface Image {
  readonly path: string;
  /** Changes if and only if the image's inputs do. */
  readonly key: string;
  /** The Debian root that its files are from. */
  readonly root: string;
}

async function buildImage(vminitd: Compiled, name: string): Promise<Image> {
  const root = await debianRoot(TESTBED_ROOT);
  const code = ["elf.ts", "manifest.ts"].map((name) =>
    Deno.readTextFileSync(new URL(name, import.meta.url))
  );
  const key = hashOf(`${IMAGE_FORMAT}`, vminitd.key, packageRecord(root), ...code);
  const image = await cached(`root/${name}-${key}`, async (path) => {
    say("writing the root image");
    const scratch = `${path}.scratch`;
    await Deno.remove(scratch, { recursive: true }).catch(() => {});
    try {
      await writeTree(`${scratch}/tree`, await entriesOf(vminitd, debianFiles(root)));
      await makeImage(root, scratch);
      await Deno.rename(`${scratch}/image`, path);
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
  });
  await keepNewest("root", `${name}-`);
  return { path: await publish(image, name), key, root };
}

async function entriesOf(vminitd: Compiled, root: DebianFiles): Promise<RootEntry[]> {
  return rootEntries({
    vminitd: await Deno.readFile(vminitd.path),
    codeCache: vminitd.codeCache === null ? null : {
      name: codeCacheName("vminitd"),
      content: await Deno.readFile(vminitd.codeCache),
    },
    root,
  });
}

/** Creates the directory `tree` from entries, with directories before their contents. */
async function writeTree(tree: string, entries: readonly RootEntry[]): Promise<void> {
  await Deno.mkdir(tree, { recursive: true });
  for (const entry of entries) {
    const path = `${tree}/${entry.path}`;
    if (entry.kind === "link") {
      await Deno.symlink(entry.target, path);
      continue;
    }
    if (entry.kind === "directory") await Deno.mkdir(path);
    else await Deno.writeFile(path, entry.content);
    // Separately, because the calls above apply the umask.
    await Deno.chmod(path, entry.mode);
  }
}

/** Makes `image` from `tree` in `scratch`, with the mkfs.erofs of the Debian root. */
async function makeImage(root: string, scratch: string): Promise<void> {
  const inRoot = 'mount --bind "$2" "$1/mnt"; cd /; root=$1; shift 2; exec chroot "$root" "$@"';
  await run([
    ...["unshare", "--mount", "--propagation", "private"],
    ...["/bin/sh", "-ec", inRoot, "sh", root, scratch],
    ...["/usr/bin/mkfs.erofs", "--quiet", ...REPRODUCIBLE, "/mnt/image", "/mnt/tree"],
  ], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } });
}
