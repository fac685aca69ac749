/** Returns the median, the mean of two for an even count. @throws {RangeError} for no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("median of no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Number and range of values. */
export interface Spread {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Returns the spread of values. @throws {RangeError} for no values. */
export function spread(values: readonly number[]): Spread {
  return {
    n: values.length,
    min: Math.min(...values),
    median: median(values),
    max: Math.max(...values),
  };
}

/**
 * Returns the ratio of two things measured in the same rounds: the ratio of their medians, with the
 * spread of the rounds' ratios. A round has one or more values of each; rounds that lack one are
 * left out of the spread.
 *
 * @returns null if no round has both.
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
