/** Bounded waits: for state that has no event, and for promises that may never settle. */

import { poll, withDeadline } from "../../base/mod.ts";
import { IN_LAB } from "./environment.ts";

const POLL_MS = 2;
/**
 * In the lab everything is emulated, and its virtual machines run on what is emulated: many times
 * slower than anything else, and waiting longer costs nothing but a late failure.
 */
const LAB_SLOWNESS = 30;
/**
 * Longest wait in the lab: what takes longer hangs, and must not use up the time of other tests.
 */
const LAB_LONGEST_MS = 600_000;

/** Returns how long to wait here for what takes at most `ms` on an idle machine. */
export function patience(ms: number): number {
  if (!IN_LAB) return ms;
  return Math.max(ms, Math.min(ms * LAB_SLOWNESS, LAB_LONGEST_MS));
}

/**
 * Calls `look` every few milliseconds until it returns something other than null.
 *
 * @throws {Error} with `what`, if `withinMs` milliseconds pass without.
 */
export async function until<T>(
  what: string,
  withinMs: number,
  look: () => T | null | Promise<T | null>,
): Promise<T> {
  const found = await poll(look, { everyMs: POLL_MS, timeoutMs: withinMs });
  if (found === null) throw late(what, withinMs);
  return found;
}

/**
 * Resolves as `work` does.
 *
 * @throws {Error} with `what`, if that takes more than `timeoutMs` milliseconds.
 */
export async function within<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  return await withDeadline({ timeoutMs, onTimeout: () => late(what, timeoutMs) }, () => work);
}

function late(what: string, timeoutMs: number): Error {
  return new Error(`${what}: not within ${timeoutMs} ms`);
}
