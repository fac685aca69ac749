/** The middle of some values, or the mean of the two in the middle. @throws RangeError for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("median of no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** How many values there are, and where they lie. */
export interface Spread {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** @throws RangeError for no values. */
export function spread(values: readonly number[]): Spread {
  return {
    n: values.length,
    min: Math.min(...values),
    median: median(values),
    max: Math.max(...values),
  };
}

/**
 * The ratio of two things that were measured in the same rounds: that of their medians, with the
 * spread of the rounds' own. Each round has one or more values of each; rounds that lack one are
 * left out of the spread.
 *
 * @returns null when no round has both.
 */
export function pairedRatio(
  above: readonly (readonly number[])[],
  below: readonly (readonly number[])[],
): Spread | null {
  const ratios = above.flatMap((values, round) => {
    const others = below[round] ?? [];
    return values.length === 0 || others.length === 0 ? [] : [median(values) / median(others)];
  });
  if (ratios.length === 0) return null;
  return { ...spread(ratios), median: median(above.flat()) / median(below.flat()) };
}
