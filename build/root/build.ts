/**
 * `deno task build:root`: vminitd and crun as `_output/qemubox-root`, an EROFS image that all
 * guests have as their root file system, on a read-only disk. It is not compressed: the host's page
 * cache holds it once for all of them, and a guest reads what it touches and no more.
 */

import { codeCacheName, compile, type Compiled } from "../../scripts/lib/compile.ts";
import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { say } from "../../scripts/lib/log.ts";
import { publish } from "../../scripts/lib/output.ts";
import { run } from "../../scripts/lib/run.ts";
import { debianFiles } from "../debian_files.ts";
import { rootEntries, type RootEntry } from "./manifest.ts";

/** Raised when the way the image is made changes. */
const IMAGE_FORMAT = 1;
/** Nothing of the building host and its time goes in: the same inputs give the same bytes. */
const REPRODUCIBLE = ["-T0", "-U00000000-0000-4000-8000-000000000000", "--all-root"];

/**
 * Compiles PID 1 of the guest, with its code cache. By `--no-lazy` the cache has all functions, not
 * only those that run while the program loads: a container's first byte comes 0.1 s earlier under
 * TCG.
 *
 * @param identity of the build: scripts/lib/build_identity.ts
 */
export function compileVminitd(identity: string): Promise<Compiled> {
  const v8Flags = ["--no-lazy"];
  return compile("guest/main.ts", "vminitd", { codeCache: true, identity, v8Flags });
}

/**
 * Builds the root image if the cache has none of these very inputs, and puts it into `_output/`.
 *
 * @param identity of the build, which vminitd gets
 */
export async function buildRoot(identity: string): Promise<string> {
  return await buildImage(await compileVminitd(identity), "qemubox-root");
}

/** For the benchmark: the root image with a program in vminitd's place that does nothing. */
export async function buildBareRoot(): Promise<string> {
  const program = await compile("tests/bench/bare_program.ts", "qemubox-bare-program");
  return await buildImage(program, "qemubox-bare-root");
}

async function buildImage(vminitd: Compiled, name: string): Promise<string> {
  const root = await debianRoot(TESTBED_ROOT);
  const code = ["elf.ts", "manifest.ts"].map((name) =>
    Deno.readTextFileSync(new URL(name, import.meta.url))
  );
  const entry = `root/${hashOf(`${IMAGE_FORMAT}`, vminitd.key, root, ...code)}`;
  const image = await cached(entry, async (path) => {
    say("writing the root image");
    const scratch = `${path}.scratch`;
    await Deno.remove(scratch, { recursive: true }).catch(() => {});
    try {
      await writeTree(
        `${scratch}/tree`,
        rootEntries({
          vminitd: await Deno.readFile(vminitd.path),
          codeCache: vminitd.codeCache === null ? null : {
            name: codeCacheName("vminitd"),
            content: await Deno.readFile(vminitd.codeCache),
          },
          root: debianFiles(root),
        }),
      );
      await makeImage(root, scratch);
      await Deno.rename(`${scratch}/image`, path);
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
  });
  await keepNewest("root", "");
  return await publish(image, name);
}

/** Makes the folder `tree`; folders come before what lies in them. */
async function writeTree(tree: string, entries: readonly RootEntry[]): Promise<void> {
  await Deno.mkdir(tree, { recursive: true });
  for (const entry of entries) {
    const path = `${tree}/${entry.path}`;
    if (entry.kind === "link") {
      await Deno.symlink(entry.target, path);
      continue;
    }
    if (entry.kind === "folder") await Deno.mkdir(path);
    else await Deno.writeFile(path, entry.content);
    // Not by the calls above, which heed the umask.
    await Deno.chmod(path, entry.mode);
  }
}

/** `tree` → `image` in `scratch`, with the mkfs.erofs of the Debian root. */
async function makeImage(root: string, scratch: string): Promise<void> {
  const inRoot = 'mount --bind "$2" "$1/mnt"; cd /; root=$1; shift 2; exec chroot "$root" "$@"';
  await run([
    ...["unshare", "--mount", "--propagation", "private"],
    ...["/bin/sh", "-ec", inRoot, "sh", root, scratch],
    ...["/usr/bin/mkfs.erofs", "--quiet", ...REPRODUCIBLE, "/mnt/image", "/mnt/tree"],
  ], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" } });
}
