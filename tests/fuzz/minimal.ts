/** Makes an input that fails shorter. */

import { concat } from "../lib/bytes.ts";

/** Trials at most: a short input is a convenience. */
const TRIALS_MAX = 500;
const MILLISECONDS_MAX = 20_000;

/**
 * Drops parts of an input as long as the rest fails with the first line of the same failure.
 *
 * @param failureOf returns null for an input that does not fail.
 */
export async function minimal(
  bytes: Uint8Array,
  failureOf: (bytes: Uint8Array) => Promise<string | null>,
): Promise<Uint8Array> {
  const kind = async (input: Uint8Array) => (await failureOf(input))?.split("\n")[0] ?? null;
  const wanted = await kind(bytes);
  if (wanted === null) return bytes;
  let least = bytes;
  const until = performance.now() + MILLISECONDS_MAX;
  let trials = 0;
  for (let size = Math.ceil(bytes.length / 2); size > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.length;) {
      if (++trials > TRIALS_MAX || performance.now() > until) return least;
      const shorter = concat([least.subarray(0, at), least.subarray(at + size)]);
      if (await kind(shorter) === wanted) least = shorter;
      else at += size;
    }
  }
  return least;
}
