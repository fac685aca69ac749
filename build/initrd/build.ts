/**
 * `deno task build:initrd`: makes `_output/qemubox-initrd` with stage 0 and its shell. It has 2 MB
 * and is not compressed, because the guest would take longer to decompress it than to copy it.
 * Everything else is on the root disk.
 */

import { VERSION } from "../../base/mod.ts";
import { cached, hashOf, keepNewest } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { packageRecord } from "../../scripts/lib/debian_pins.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { publish } from "../../scripts/lib/output.ts";
import { debianComponents } from "../../scripts/sbom/debian_components.ts";
import { productComponent, publishSbom } from "../../scripts/sbom/publish_sbom.ts";
import { debianFiles, recorded } from "../debian_files.ts";
import { writeCpio } from "./cpio.ts";
import { initrdEntries } from "./manifest.ts";

const STAGE0 = new URL("init", import.meta.url).pathname;

/** Builds the initrd, unless the cache has one of the same inputs, and puts it into `_output/`. */
export async function buildInitrd(): Promise<string> {
  const root = await debianRoot(TESTBED_ROOT);
  const stage0 = Deno.readFileSync(STAGE0);
  const { files, paths } = recorded(debianFiles(root));
  const archive = writeCpio(initrdEntries(stage0, files));
  const key = hashOf(archive);
  const initrd = await cached(
    `initrd/${key}`,
    (path) => Deno.writeFile(path, archive),
  );
  await keepNewest("initrd", "");
  await publishSbom({
    name: "qemubox-initrd",
    version: VERSION,
    file: initrd,
    key: hashOf(key, packageRecord(root)),
    components: async () => [
      ...debianComponents(root, paths),
      await productComponent({
        name: "qemubox-stage0",
        version: VERSION,
        file: STAGE0,
        components: () => Promise.resolve([]),
      }),
    ],
  });
  return await publish(initrd, "qemubox-initrd");
}
