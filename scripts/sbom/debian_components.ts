/** Components of an image whose files are from a Debian root. */

import { packagesIn } from "../lib/debian_pins.ts";
import { type Component, debianComponent } from "./component.ts";
import { ownersIn, packagesOwning } from "./debian_owners.ts";

/**
 * Returns the packages that the files at `paths` of the root at `directory` belong to.
 *
 * @throws {Error} for a path of no package, or a package without a recorded hash
 */
export function debianComponents(directory: string, paths: Iterable<string>): Component[] {
  const installed = packagesIn(directory);
  return packagesOwning(paths, ownersIn(directory)).map((name) => {
    const fact = installed.find((candidate) => candidate.name === name);
    if (fact === undefined) throw new Error(`no SHA-256 of Debian package ${name} is recorded`);
    return debianComponent(fact);
  });
}
