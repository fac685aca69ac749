/** Peers in Go that tests need: scripts/lib/go_peer.ts. */

import { existing } from "../../scripts/lib/paths.ts";

/**
 * Why something of a peer cannot be had here; null when it can.
 * @param path of it.
 * @param target that `scripts/deno task build:…` makes it by.
 */
export function whyNoPeer(path: string, target: string): string | null {
  if (Deno.env.get("QEMUBOX_TESTBED") !== "1") return "not in the testbed";
  return existing(path) === null ? `needs Go: scripts/deno task build:${target}` : null;
}
