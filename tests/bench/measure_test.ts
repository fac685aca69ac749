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

Deno.test("the measures take turns", async () => {
  const log: string[] = [];
  const samples = await measureRounds([fake("a", log), fake("b", log, { roundsMax: 1 })], {
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
  const samples = await measureRounds([fake("a", [], { run })], { runs: 2 });
  assert.deepEqual(samples, [{ name: "a", unit: "ms", rounds: [[], [1, 2]] }]);
});

Deno.test("what fails is named, and what gives a row that is not its own", async () => {
  const fails = fake("a", [], { run: () => Promise.reject(new Error("no VM")) });
  await assert.rejects(measureRounds([fails], { runs: 1 }), { message: "a: no VM" });
  const wrong = fake("a", [], { run: () => Promise.resolve({ b: 1 }) });
  await assert.rejects(measureRounds([wrong], { runs: 1 }), { message: "a has no row b" });
});
