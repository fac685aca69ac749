import assert from "node:assert/strict";
import { type Measure, measureRounds } from "./measure.ts";

function fake(name: string, log: string[], changes: Partial<Measure> = {}): Measure {
  return {
    name,
    rows: { [name]: "ms" },
    run: () => {
      log.push(name);
      return Promise.resolve({ [name]: log.length });
    },
    ...changes,
  };
}

Deno.test("measures take turns", async () => {
  const log: string[] = [];
  const { samples } = await measureRounds([fake("a", log), fake("b", log, { roundsMax: 1 })], {
    runs: 3,
  });
  assert.deepEqual(log, ["a", "b", "a", "a"]);
  assert.deepEqual(samples, [
    { name: "a", unit: "ms", rounds: [[1], [3], [4]] },
    { name: "b", unit: "ms", rounds: [[2]] },
  ]);
});

Deno.test("a round may give several values of a row, or none", async () => {
  let round = 0;
  const run = () => Promise.resolve(round++ === 0 ? {} : { a: [1, 2] });
  const { samples } = await measureRounds([fake("a", [], { run })], { runs: 2 });
  assert.deepEqual(samples, [{ name: "a", unit: "ms", rounds: [[], [1, 2]] }]);
});

Deno.test("a failing measure is named and loses only its own values, also for an unknown row", async () => {
  const log: string[] = [];
  const fails = fake("a", [], { run: () => Promise.reject(new Error("no VM")) });
  const wrong = fake("b", [], { run: () => Promise.resolve({ c: 1 }) });
  const { samples, failures } = await measureRounds([fails, wrong, fake("d", log)], { runs: 1 });
  assert.deepEqual(failures, ["round 1: a: no VM", "round 1: b: unknown row c"]);
  assert.deepEqual(samples.map(({ rounds }) => rounds), [[], [], [[1]]]);
});
