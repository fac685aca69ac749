/**
 * `scripts/test [--full] [--only unit|e2e]`: checks the code, runs the unit tests, builds, runs the
 * tests that need something of the host, the rest of tests/ in the testbed, and those that need KVM
 * in the lab, unless this machine has it. Repeats at the end what failed and why. Ends with one
 * line `N passed, N failed, N skipped`; each step counts as a test. Exit status 1 when anything
 * failed.
 */

import { parseArgs } from "node:util";
import { removeTree } from "./lib/cache.ts";
import { DEBIAN_SUITE } from "./lib/debian_packages.ts";
import { UNAVAILABLE } from "./lib/exit_status.ts";
import { FAILURE_LINES_MAX, parseJunit, type TestCounts } from "./lib/junit.ts";
import { passOn, Tail } from "./lib/pass_on.ts";
import { OUTPUT, REPOSITORY } from "./lib/paths.ts";
import { chooseAccelerator, chooseVsockTransport, probeHost } from "../qemu/mod.ts";
import { which } from "./lib/run.ts";
import { NO_TIME, testFiles } from "./test_files.ts";

/** Which half to run; null: both. */
type Only = "unit" | "e2e" | null;

interface Step {
  readonly heading: string;
  readonly part: Exclude<Only, null>;
  readonly argv: readonly string[];
  /** The folder for the reports of `deno test`; null for a step that only passes or fails. */
  readonly reports: string | null;
  readonly timeoutMinutes: number;
  /** Why this machine cannot do it; null if it can. */
  readonly impossible: string | null;
  /** It ends with UNAVAILABLE, and is skipped, where it cannot fetch what it needs. */
  readonly fetches?: boolean;
}

/** These need what the host has: root outside of the testbed, Go, a network. */
const ON_HOST: readonly string[] = ["tests/peers", "tests/host"];
/** These need KVM and vhost-vsock. */
const IN_LAB: readonly string[] = ["tests/lab"];
/**
 * What is tested without KVM has to hold with it: exec and terminals, OOM, containerd's restart.
 */
const ALSO_IN_LAB: readonly string[] = [
  ...["tests/e2e/exec_test.ts", "tests/e2e/restart_test.ts", "tests/conformance/life_test.ts"],
];
/** What matters most comes first: on a slow machine the time may not do for all. */
const FIRST: readonly string[] = ["tests/e2e", "tests/faults", "tests/conformance"];
/** Runs everything on 2 processors with time to spare; a step that hangs is a failure. */
const MINUTES = { check: 5, unit: 10, build: 40, file: 10, tests: 45, lab: 30, full: 120 } as const;
/**
 * Whoever runs this waits an hour at most. So, but for --full, no file is begun in the testbed or
 * in the lab later than so many minutes after the beginning; what is left out is skipped, and says
 * so. After `end` the lab is ended, and what was at work in it has failed. A machine as the tests
 * were made on needs 45 minutes for everything, with nothing in the cache.
 */
const UNTIL = { testbed: 42, lab: 47, end: 57 } as const;
/** A lab with less time than that does not come to its first test. */
const LAB_MINUTES_MIN = 6;
const MEMORY_GIB_MIN = 4;

/** The steps, in order, each as of the time when its turn comes. */
function* plan(full: boolean): Generator<Step> {
  const begun = Date.now() / 1000;
  const until = (minutes: number) => full ? Infinity : begun + minutes * 60;
  const minutesLeft = () => (until(UNTIL.end) - Date.now() / 1000) / 60;
  const deno = Deno.execPath();
  const lacks = whyNoTestbed();
  const check = (heading: string, ...args: string[]): Step => ({
    heading,
    part: "unit",
    argv: [deno, ...args],
    reports: null,
    timeoutMinutes: MINUTES.check,
    impossible: null,
  });
  const unit = reportsOf("unit");
  /** Each file in a process of its own. */
  const files = (
    heading: string,
    name: string,
    paths: readonly string[],
    { fileMinutes = MINUTES.file as number, untilS = Infinity } = {},
  ): Step => ({
    heading,
    part: "e2e",
    argv: [
      ...[deno, "run", "--allow-all", `${REPOSITORY}/scripts/test_files.ts`],
      ...[reportsOf(name), String(full ? MINUTES.full : fileMinutes), String(untilS), ...paths],
    ],
    reports: reportsOf(name),
    timeoutMinutes: full ? MINUTES.full : MINUTES.tests,
    impossible: null,
  });
  const below = (folders: readonly string[]) => (path: string) =>
    folders.some((folder) => path.startsWith(`${folder}/`));
  const [onHost, inLab] = [below(ON_HOST), below(IN_LAB)];
  const all = testFiles("tests");
  /** @param options of scripts/testbed */
  const inTestbed = (step: Step, ...options: string[]): Step => ({
    ...step,
    argv: [`${REPOSITORY}/scripts/testbed`, ...options, ...step.argv],
    impossible: lacks,
  });
  /** @param target of scripts/build.ts */
  const goPeer = (heading: string, target: string): Step => ({
    ...check(heading, "run", "--allow-all", "scripts/build.ts", target),
    part: "e2e",
    timeoutMinutes: MINUTES.build,
    impossible: lacks ?? (which("go") === null ? "needs Go" : null),
    fetches: true,
  });
  yield check("format", "fmt", "--check");
  yield check("lint", "lint");
  yield check("types", "check", ".");
  yield check("import table", "run", "--allow-read", "scripts/check_imports.ts");
  yield {
    ...check(
      "unit tests",
      ...["test", "--allow-all", `--junit-path=${unit}/unit.xml`, "--ignore=tests/", "."],
    ),
    reports: unit,
    timeoutMinutes: MINUTES.unit,
  };
  yield {
    ...check("build", "run", "--allow-all", "scripts/build.ts"),
    part: "e2e",
    timeoutMinutes: MINUTES.build,
    impossible: lacks,
  };
  yield goPeer("a newer containerd", "containerd");
  yield goPeer("crictl", "crictl");
  yield goPeer("nerdctl", "nerdctl");
  // What the tests import has to be in Deno's cache: the testbed has no network.
  yield { ...check("types of tests", "check", "tests/"), part: "e2e" };
  yield files("tests on the host", "host", all.filter(onHost));
  const inBed = all.filter((path) => !onHost(path) && !inLab(path));
  yield inTestbed(
    files("tests in the testbed", "testbed", inOrder(inBed), { untilS: until(UNTIL.testbed) }),
  );
  // Where this machine has KVM itself, they have run with it in the testbed.
  const alsoInLab = hasKvm() ? [] : ALSO_IN_LAB;
  const labMinutes = full ? MINUTES.full : Math.min(MINUTES.lab, minutesLeft());
  // The lab ends before its step does, and so can say where it stood.
  const lab = hasKvm() ? [] : ["--kvm", "--deadline", String(labMinutes - 1)];
  const labFiles = files("tests in the lab", "lab", [...all.filter(inLab), ...alsoInLab], {
    fileMinutes: MINUTES.lab,
    untilS: until(UNTIL.lab),
  });
  yield {
    ...inTestbed(labFiles, ...lab),
    timeoutMinutes: labMinutes,
    impossible: lacks ?? (minutesLeft() < LAB_MINUTES_MIN ? NO_TIME : null),
  };
}

/** Files of the folders in FIRST before all others; otherwise as they are. */
export function inOrder(paths: readonly string[]): string[] {
  const rank = (path: string) => {
    const at = FIRST.findIndex((folder) => path.startsWith(`${folder}/`));
    return at < 0 ? FIRST.length : at;
  };
  return paths.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether this machine is what the lab is there to be. */
function hasKvm(): boolean {
  const host = probeHost();
  return chooseAccelerator("auto", host).accelerator === "kvm" &&
    chooseVsockTransport(host) === "kernel";
}

function reportsOf(name: string): string {
  return `${OUTPUT}/test-reports/${name}`;
}

/** What a testbed needs. Where it is there, a testbed that does not start is a failure. */
function whyNoTestbed(): string | null {
  if (Deno.uid() !== 0) return "needs root rights";
  if (which("apt-get") === null) return `needs Debian's apt (for packages of ${DEBIAN_SUITE})`;
  const memory = Deno.systemMemoryInfo().total / 2 ** 30;
  if (memory < MEMORY_GIB_MIN - 0.5) return `needs ${MEMORY_GIB_MIN} GB of memory`;
  return null;
}

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
  const end = () => running && child.kill("SIGTERM");
  const timer = setTimeout(() => {
    late.resolve(true);
    end();
  }, step.timeoutMinutes * 60_000);
  // Whoever ends the tests ends the step with them.
  const giveUp = () => {
    end();
    Deno.exit(143);
  };
  Deno.addSignalListener("SIGTERM", giveUp);
  const { success, code } = await child.status;
  running = false;
  // A process that the step left behind may hold its output open for ever.
  const isLate = await Promise.race([late.promise, output.then(() => false)]);
  Deno.removeSignalListener("SIGTERM", giveUp);
  clearTimeout(timer);
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

function allReports(folder: string): string {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => Deno.readTextFileSync(`${folder}/${name}`)).join("");
}

/**
 * The step itself counts as one more test. It fails by itself where it failed without a failed test
 * to show for it: a module that does not load, a report that was never written.
 * @param failure how it failed and what it said last; null when it did not
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

/** What is said last: a log is often cut to its end, so all that matters is said again here. */
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

/** @throws {Error} for anything that is not an option of ours */
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
    console.error(`test: ${error instanceof Error ? error.message : error}`);
    console.error("usage: scripts/test [--full] [--only unit|e2e]");
    Deno.exit(2);
  }
}
