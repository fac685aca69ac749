/** Compares guest instructions with `instructions.baseline.json` beside this file. */

import { COUNTS, type InstructionCounts } from "./instruction_counts.ts";

/** How much a figure may grow without a reason in a commit. */
export const GROWTH_MAX = 0.02;

/**
 * Returns a sentence for each figure that has grown too much.
 *
 * @throws {Error} if the baseline lacks a figure.
 */
export function grown(now: InstructionCounts, baseline: InstructionCounts): string[] {
  return COUNTS.flatMap((name) => {
    const before = baseline[name];
    if (!(before > 0)) throw new Error(`instructions.baseline.json has no ${name}`);
    if (now[name] <= before * (1 + GROWTH_MAX)) return [];
    const percent = ((now[name] / before - 1) * 100).toFixed(1);
    return [`${name}: ${now[name]} million instructions, ${percent} % more than ${before}`];
  });
}
