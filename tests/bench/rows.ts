import { goalOf, RATIOS } from "./goals.ts";
import type { Machine, Row, Unit } from "./result.ts";
import { pairedRatio, type Spread, spread } from "./statistics.ts";

/** Values of a row by round; a round may have several, or none. */
export interface Samples {
  readonly name: string;
  readonly unit: Unit;
  readonly rounds: readonly (readonly number[])[];
}

/**
 * Returns the rows of a result: what was measured, then the ratios. Rows without a value are left
 * out.
 */
export function rowsOf(samples: readonly Samples[], machine: Pick<Machine, "accelerator">): Row[] {
  const row = (name: string, unit: Unit, values: Spread): Row => {
    const goal = goalOf(name, machine);
    return {
      name,
      unit,
      n: values.n,
      min: round(values.min),
      median: round(values.median),
      max: round(values.max),
      goal,
      // By the rounded value, which a reader compares with the goal.
      met: goal === null ? null : round(values.median) <= goal,
    };
  };
  const measured = samples.flatMap(({ name, unit, rounds }) => {
    const values = rounds.flat();
    return values.length === 0 ? [] : [row(name, unit, spread(values))];
  });
  const roundsOf = (name: string) => samples.find((one) => one.name === name)?.rounds ?? [];
  const ratios = RATIOS.flatMap(({ name, above, below }) => {
    const ratio = pairedRatio(roundsOf(above), roundsOf(below));
    return ratio === null ? [] : [row(name, "ratio", ratio)];
  });
  return [...measured, ...ratios];
}

/** Returns the rows that miss their goal. */
export function missed(rows: readonly Row[]): Row[] {
  return rows.filter(({ met }) => met === false);
}

/** Rounds to three decimals: microseconds, KiB, and more than any ratio's precision. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
