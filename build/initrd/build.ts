/**
 * `deno task build:initrd`: stage 0 and its shell as `_output/qemubox-initrd`. It is 2 MB and not
 * compressed: unpacking would take the guest longer than copying. All else is on the root disk.
 */

import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { publish } from "../../scripts/lib/output.ts";
import { debianFiles } from "../debian_files.ts";
import { writeCpio } from "./cpio.ts";
import { initrdEntries } from "./manifest.ts";

/** Builds the initrd if the cache has none of these very inputs, and puts it into `_output/`. */
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
