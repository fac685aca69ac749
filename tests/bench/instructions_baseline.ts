/** Against what guest instructions are compared: `instructions.baseline.json` beside this file. */

import { COUNTS, type InstructionCounts } from "./instruction_counts.ts";

/** How much a figure may grow before somebody has to say why. */
export const GROWTH_MAX = 0.02;

/**
 * The figures that have grown too much, one sentence each.
 * @throws Error when the baseline lacks a figure.
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
