/** Programs in Go that tests need; scripts/lib/go_peer.ts builds them. */

import { ifPresent } from "../../base/mod.ts";
import { IN_TESTBED } from "./environment.ts";

/**
 * Returns why a program in Go is not available here, or null if it is.
 *
 * @param path of the program or its directory.
 * @param target of `scripts/deno task build:…` that builds it.
 */
export function whyNoPeer(path: string, target: string): string | null {
  if (!IN_TESTBED) return "not in the testbed";
  const found = ifPresent(() => Deno.statSync(path));
  return found === null ? `needs Go: scripts/deno task build:${target}` : null;
}
