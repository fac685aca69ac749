/**
 * What the build left in `_output/`: bills of materials that fit their files. Under --full, also
 * that two builds from empty caches give the same bytes, which takes minutes and downloads.
 */

import assert from "node:assert/strict";
import { build } from "../../scripts/build.ts";
import { buildTwice, unequal } from "../../scripts/build_twice.ts";
import { fileSha256 } from "../../scripts/lib/cache.ts";
import { TESTBED_ROOT } from "../../scripts/lib/debian_packages.ts";
import { packagesIn } from "../../scripts/lib/debian_pins.ts";
import { debianRoot } from "../../scripts/lib/debian_root.ts";
import { OUTPUT } from "../../scripts/lib/paths.ts";
import { FULL } from "../lib/environment.ts";
import { rootTest } from "./testbed.ts";

const PRODUCTS = ["containerd-shim-qemubox-v1", "vminitd", "qemubox-root", "qemubox-initrd"];

interface SpdxPackage {
  readonly name: string;
  readonly versionInfo: string;
  readonly checksums?: readonly { readonly checksumValue: string }[];
}

function packagesOf(product: string): SpdxPackage[] {
  return JSON.parse(Deno.readTextFileSync(`${OUTPUT}/${product}.spdx.json`)).packages;
}

rootTest("each file of the product has a bill of materials with its hash", async () => {
  await build();
  for (const product of [...PRODUCTS, "qemubox-kernel-x86_64"]) {
    const [described, ...parts] = packagesOf(product);
    assert.equal(described!.name, product);
    assert.equal(
      described!.checksums![0]!.checksumValue,
      await fileSha256(`${OUTPUT}/${product}`),
      product,
    );
    assert.ok(parts.length > 0, product);
  }
});

rootTest("the root image's bill names vminitd and the Debian packages of its root", async () => {
  const packages = packagesOf("qemubox-root");
  const installed = packagesIn(await debianRoot(TESTBED_ROOT));
  for (const name of ["crun", "criu", "libc6", "libgcc-s1", "libcriu2", "tar", "dash", "gzip"]) {
    const found = packages.find((candidate) => candidate.name === name);
    const { version, sha256 } = installed.find((candidate) => candidate.name === name)!;
    assert.deepEqual([found?.versionInfo, found?.checksums?.[0]?.checksumValue], [version, sha256]);
  }
  const vminitd = packages.find(({ name }) => name === "vminitd");
  assert.equal(vminitd?.checksums?.[0]?.checksumValue, await fileSha256(`${OUTPUT}/vminitd`));
});

if (FULL) {
  rootTest("two builds from empty caches in two directories give the same bytes", async () => {
    const [one, other] = await buildTwice();
    assert.deepEqual(unequal(one, other), []);
    assert.ok(PRODUCTS.every((name) => one[name] !== undefined));
  });
}
