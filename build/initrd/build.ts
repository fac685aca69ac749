/**
 * `deno task build:initrd`: makes `_output/qemubox-initrd` with stage 0 and its shell. It has 2 MB
 * and is not compressed, because the guest would take longer to decompress it than to copy it.
 * Everything else is on the root disk.
 */

import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { publish } from "../../scripts/lib/output.ts";
import { debianFiles } from "../debian_files.ts";
import { writeCpio } from "./cpio.ts";
import { initrdEntries } from "./manifest.ts";

/** Builds the initrd, unless the cache has one of the same inputs, and puts it into `_output/`. */
export async function buildInitrd(): Promise<string> {
  const root = await debianRoot(TESTBED_ROOT);
  const stage0 = Deno.readFileSync(new URL("init", import.meta.url));
  const archive = writeCpio(initrdEntries(stage0, debianFiles(root)));
  const initrd = await cached(
    `initrd/${hashOf(archive)}`,
    (path) => Deno.writeFile(path, archive),
  );
  await keepNewest("initrd", "");
  return await publish(initrd, "qemubox-initrd");
}
