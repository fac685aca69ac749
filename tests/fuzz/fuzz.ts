/**
 * Defines the tests of a file of targets, which stand for one parser.
 *
 * Usually each replays its corpus and takes a few hundred inputs, always the same. With
 * QEMUBOX_TEST_FULL=1 (`scripts/test --full`) the file takes ten minutes, from a seed that it
 * prints. QEMUBOX_FUZZ_SECONDS and QEMUBOX_FUZZ_SEED choose both.
 */

import { FULL } from "../lib/environment.ts";
import { type Budget, campaign } from "./campaign.ts";
import type { Target } from "./target.ts";
import { Watchdog } from "./watchdog.ts";

const SEED = 1;
const INPUTS = 200;
/** Of a slow machine: the inputs take a tenth of it. */
const MILLISECONDS = 1_000;
const FULL_SECONDS = 600;

/** Defines a test per target. */
export function fuzz(...targets: readonly Target[]): void {
  for (const target of targets) {
    Deno.test(`${target.name}: hostile bytes give a result or a documented error`, async () => {
      const budget = budgetOf(targets.length);
      const isLong = budget.inputs === Infinity;
      using watched = isLong ? Watchdog.over(target, budget.seed) : null;
      const { inputs, outcomes } = await campaign(watched?.target ?? target, budget);
      if (isLong) {
        console.log(`${inputs} inputs, ${outcomes} kinds of results, seed ${budget.seed}`);
      }
    });
  }
}

function budgetOf(targets: number): Budget {
  const given = (name: string) => {
    const value = Deno.env.get(`QEMUBOX_FUZZ_${name}`);
    return value === undefined ? null : Number(value);
  };
  const seconds = given("SECONDS") ?? (FULL ? FULL_SECONDS : null);
  if (seconds === null) {
    return { inputs: INPUTS, milliseconds: MILLISECONDS, seed: given("SEED") ?? SEED };
  }
  const seed = given("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]!;
  return { inputs: Infinity, milliseconds: seconds * 1000 / targets, seed };
}
