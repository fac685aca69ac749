/**
 * `scripts/test [--full] [--only unit|e2e]`: checks the code, runs the unit tests, builds, runs the
 * tests that need the host, all others of tests/ in the testbed, and those that need KVM in the
 * lab, unless this machine has it. Repeats at the end which tests failed and why. The last line is
 * `N passed, N failed, N skipped`; each step counts as a test. Exit status 1 when anything failed.
 */

import { parseArgs } from "node:util";
import { after, messageOf } from "../base/mod.ts";
import { removeTree } from "./lib/cache.ts";
import { UNAVAILABLE } from "./lib/exit_status.ts";
import { FAILURE_LINES_MAX, parseJunit, type TestCounts } from "./lib/junit.ts";
import { passOn, Tail } from "./lib/pass_on.ts";
import { REPOSITORY } from "./lib/paths.ts";
import { type Only, plan, type Step } from "./test_plan.ts";

async function runStep(step: Step, full: boolean): Promise<TestCounts> {
  console.log(`\n=== ${step.heading} ===`);
  if (step.impossible !== null) {
    console.log(`skipped: ${step.impossible}`);
    return skipped(step, step.impossible);
  }
  if (step.reports !== null) {
    await removeTree(step.reports);
    await Deno.mkdir(step.reports, { recursive: true });
  }
  const [program, ...args] = step.argv;
  const started = performance.now();
  const child = new Deno.Command(program!, {
    args,
    cwd: REPOSITORY,
    env: full ? { QEMUBOX_TEST_FULL: "1" } : {},
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const tail = new Tail(FAILURE_LINES_MAX);
  const output = Promise.all([
    passOn(child.stdout, Deno.stdout, tail),
    passOn(child.stderr, Deno.stderr, tail),
  ]);
  const late = Promise.withResolvers<true>();
  let running = true;
  const terminate = () => running && child.kill("SIGTERM");
  using _timer = after(step.timeoutMinutes * 60_000, () => {
    late.resolve(true);
    terminate();
  });
  // A run that is terminated takes its step along.
  const giveUp = () => {
    terminate();
    Deno.exit(143);
  };
  Deno.addSignalListener("SIGTERM", giveUp);
  const { success, code } = await child.status;
  running = false;
  // A process that the step left behind may hold the output open forever.
  const isLate = await Promise.race([late.promise, output.then(() => false)]);
  Deno.removeSignalListener("SIGTERM", giveUp);
  if (step.fetches === true && code === UNAVAILABLE) {
    return skipped(step, tail.text.trim());
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const outcome = isLate ? "FAILED: out of time" : success ? "ok" : "FAILED";
  console.log(`--- ${step.heading}: ${outcome} (${seconds} s)`);
  const counts = parseJunit(step.reports === null ? "" : allReports(step.reports));
  return withStep(counts, step.heading, success && !isLate ? null : `${outcome}\n${tail.text}`);
}

function skipped({ heading }: Step, why: string): TestCounts {
  return { passed: 0, failed: 0, skipped: [`${heading}: ${why}`], failures: [] };
}

function allReports(directory: string): string {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort()
    .map((name) => Deno.readTextFileSync(`${directory}/${name}`)).join("");
}

/**
 * Counts the step itself as one more test. It is a failed test where the step failed without one:
 * a module that does not load, a report that was never written.
 *
 * @param failure how the step failed and its last output; null when it passed
 */
export function withStep(
  counts: TestCounts,
  heading: string,
  failure: string | null,
): TestCounts {
  if (failure === null) return { ...counts, passed: counts.passed + 1 };
  if (counts.failed > 0) return counts;
  return { ...counts, failed: 1, failures: [{ name: heading, text: failure }] };
}

/** The end of the output. Logs are often cut to their end, so it repeats all that matters. */
export function summary(counts: TestCounts, failedSteps: readonly string[]): string {
  const { passed, failed, skipped, failures } = counts;
  const indented = (text: string) => text.split("\n").map((line) => `  | ${line}`).join("\n");
  return [
    ...(skipped.length > 0 ? [`\nskipped:\n${skipped.map((name) => `  ${name}`).join("\n")}`] : []),
    ...(failedSteps.length > 0 ? [`\nFAILED: ${failedSteps.join(", ")}`] : []),
    ...failures.map(({ name, text }) => `\nFAILED ${name}\n${indented(text)}`),
    `\n${passed} passed, ${failed} failed, ${skipped.length} skipped`,
  ].join("\n");
}

/** @returns the exit status */
async function main(args: readonly string[]): Promise<number> {
  const { full, only } = parseOptions(args);
  let sum: TestCounts = { passed: 0, failed: 0, skipped: [], failures: [] };
  const failedSteps: string[] = [];
  Deno.chdir(REPOSITORY);
  for (const step of plan(full)) {
    if (only !== null && step.part !== only) continue;
    const counts = await runStep(step, full);
    sum = {
      passed: sum.passed + counts.passed,
      failed: sum.failed + counts.failed,
      skipped: [...sum.skipped, ...counts.skipped],
      failures: [...sum.failures, ...counts.failures],
    };
    if (counts.failed > 0) failedSteps.push(step.heading);
  }
  console.log(summary(sum, failedSteps));
  return sum.failed > 0 ? 1 : 0;
}

/** @throws {Error} for an unknown option or argument */
export function parseOptions(args: readonly string[]): { full: boolean; only: Only } {
  const { values } = parseArgs({
    args: [...args],
    options: { full: { type: "boolean", default: false }, only: { type: "string" } },
  });
  const { full, only = null } = values;
  if (only !== null && only !== "unit" && only !== "e2e") {
    throw new Error(`--only takes unit or e2e, not ${only}`);
  }
  return { full, only };
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`test: ${messageOf(error)}`);
    console.error("usage: scripts/test [--full] [--only unit|e2e]");
    Deno.exit(2);
  }
}
