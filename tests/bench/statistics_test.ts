import assert from "node:assert/strict";
import fc from "fast-check";
import { median, pairedRatio, spread } from "./statistics.ts";

Deno.test("the median is the middle value, or the mean of the two in the middle", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([10, 9]), 9.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("min, median and max of a spread are in order", () => {
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

Deno.test("a paired ratio is that of the medians, with the spread of the rounds", () => {
  const above = [[20], [60], [30, 50]];
  const below = [[10], [20], [10]];
  assert.deepEqual(pairedRatio(above, below), { n: 3, min: 2, median: 4, max: 4 });
});

Deno.test("rounds that lack a value are left out, and without a pair there is no ratio", () => {
  assert.deepEqual(pairedRatio([[20], []], [[10], [10]]), { n: 1, min: 2, median: 2, max: 2 });
  assert.equal(pairedRatio([[20], []], [[], [10]]), null);
  assert.equal(pairedRatio([], []), null);
});
