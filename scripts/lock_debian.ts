/**
 * Pins the Debian packages of the cached roots: writes their versions and hashes to
 * scripts/lib/debian_lock.json. To raise versions, delete the directory `roots` of the cache first,
 * while no testbed runs (docs/supply-chain.md).
 */

import { kernelRoot } from "../build/kernel/build.ts";
import { KERNEL_ROOT, TESTBED_ROOT } from "./lib/debian_packages.ts";
import { packagesIn, pinsFor, writeLock } from "./lib/debian_pins.ts";
import { debianRoot } from "./lib/debian_root.ts";

if (import.meta.main) {
  writeLock({
    [TESTBED_ROOT.name]: pinsFor(packagesIn(await debianRoot(TESTBED_ROOT))),
    [KERNEL_ROOT.name]: pinsFor(packagesIn(await kernelRoot())),
  });
}
