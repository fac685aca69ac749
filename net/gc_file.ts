import type { ChainHost } from "./chain.ts";

/**
 * The file that is locked while an attachment is noted in the store, and while garbage is collected.
 * It has the names of the networks whose garbage was collected, a line each; like the other lock it
 * lies in the run folder, and so is gone after a reboot.
 */
export function gcFile({ lockFile }: Pick<ChainHost, "lockFile">): string {
  return `${lockFile}.gc`;
}
