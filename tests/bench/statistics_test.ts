import assert from "node:assert/strict";
import fc from "fast-check";
import { median, pairedRatio, spread } from "./statistics.ts";

Deno.test("the median is the middle, or between the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([10, 9]), 9.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("a spread is in order, whatever the values", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }),
      (values) => {
        const { n, min, median, max } = spread(values);
        assert.equal(n, values.length);
        assert(min <= median && median <= max);
      },
    ),
  );
});

Deno.test("a ratio is that of the medians, its spread that of the rounds", () => {
  const above = [[20], [60], [30, 50]];
  const below = [[10], [20], [10]];
  assert.deepEqual(pairedRatio(above, below), { n: 3, min: 2, median: 4, max: 4 });
});

Deno.test("rounds that lack a value are no pair, and without a pair there is no ratio", () => {
  assert.deepEqual(pairedRatio([[20], []], [[10], [10]]), { n: 1, min: 2, median: 2, max: 2 });
  assert.equal(pairedRatio([[20], []], [[], [10]]), null);
  assert.equal(pairedRatio([], []), null);
});
