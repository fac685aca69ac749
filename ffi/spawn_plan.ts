import type { Fd } from "./system.ts";

/** The highest descriptor number of a child. */
export const CHILD_FD_MAX = 1023;

/** Steps that give a child its descriptors. */
export interface DescriptorPlan {
  /** Child number and source, lowest number first. */
  targets: { to: number; from: Fd | "null" }[];
  /**
   * Sources must be at or above this number. A source below it could be overwritten by an earlier
   * dup2, or be its own target, which dup2 leaves close-on-exec.
   */
  sourcesFrom: number;
  /** Numbers between the targets, to close. */
  close: number[];
  /** First of the numbers above the targets, all of which to close. */
  closeFrom: number;
}

/**
 * Plans the descriptors of a child: those of `fds`, /dev/null for 0, 1 and 2 if they are absent,
 * and no others.
 *
 * @throws {RangeError} if a number is not an integer within 0..=CHILD_FD_MAX.
 */
export function planDescriptors(fds: Record<number, Fd | "null">): DescriptorPlan {
  const wanted: Record<number, Fd | "null"> = { 0: "null", 1: "null", 2: "null", ...fds };
  const targets = Object.entries(wanted)
    .map(([to, from]) => ({ to: Number(to), from }))
    .sort((a, b) => a.to - b.to);
  const wrong = targets.find(({ to }) => !Number.isInteger(to) || to < 0 || to > CHILD_FD_MAX);
  if (wrong) throw new RangeError(`a child cannot have descriptor ${wrong.to}`);
  const above = targets.at(-1)!.to + 1;
  const taken = new Set(targets.map(({ to }) => to));
  const close = Array.from({ length: above }, (_, number) => number)
    .filter((number) => !taken.has(number));
  return { targets, sourcesFrom: above, close, closeFrom: above };
}
