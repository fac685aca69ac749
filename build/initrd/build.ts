/**
 * `deno task build:initrd`: vminitd, crun and stage 0 as `_output/qemubox-initrd`, a cpio archive. It
 * is not compressed: the host's page cache holds it once, and a guest need not unpack it twice.
 */

import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { compile } from "../../scripts/lib/compile.ts";
import { say } from "../../scripts/lib/log.ts";
import { publish } from "../../scripts/lib/output.ts";
import { writeCpio } from "./cpio.ts";
import { initrdEntries, type RootReader } from "./manifest.ts";

/** Builds the initrd if the cache has none of these very inputs, and puts it into `_output/`. */
export async function buildInitrd(): Promise<string> {
  const vminitd = await compile("guest/main.ts", "vminitd");
  const root = await debianRoot(TESTBED_ROOT);
  const code = ["init", "cpio.ts", "elf.ts", "manifest.ts"].map((name) =>
    Deno.readTextFileSync(new URL(name, import.meta.url))
  );
  const name = `initrd/${hashOf(vminitd.key, root, ...code)}`;
  const initrd = await cached(name, async (path) => {
    say("writing the initrd");
    await Deno.writeFile(
      path,
      writeCpio(initrdEntries({
        stage0: Deno.readFileSync(new URL("init", import.meta.url)),
        vminitd: await Deno.readFile(vminitd.path),
        root: folderReader(root),
      })),
    );
  });
  await keepNewest("initrd", "");
  return await publish(initrd, "qemubox-initrd");
}

/** Links in the root are followed by the system; those that lead out of it are not in our way. */
function folderReader(root: string): RootReader {
  return {
    read(path: string): Uint8Array | null {
      try {
        return Deno.readFileSync(root + path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
  };
}
