/** The steps of `scripts/test`, their order and their time limits. */

import { chooseAccelerator, chooseVsockTransport, probeHost } from "../qemu/mod.ts";
import { DEBIAN_SUITE } from "./lib/debian_packages.ts";
import { OUTPUT, REPOSITORY } from "./lib/paths.ts";
import { which } from "./lib/run.ts";
import { NO_TIME, testFiles } from "./test_files.ts";

/** Which half to run; null for both. */
export type Only = "unit" | "e2e" | null;

/** One program of a run. */
export interface Step {
  readonly heading: string;
  readonly part: Exclude<Only, null>;
  readonly argv: readonly string[];
  /** Directory of the reports of `deno test`; null for a step that only passes or fails. */
  readonly reports: string | null;
  readonly timeoutMinutes: number;
  /** Why this machine cannot run it; null if it can. */
  readonly impossible: string | null;
  /** Whether it exits with UNAVAILABLE, and is skipped, where a download fails. */
  readonly fetches?: boolean;
}

/** Part of the unit tests: it needs nothing. */
const FUZZING = "tests/fuzz";
/** These need the host: root outside of the testbed, Go, a network. */
const ON_HOST: readonly string[] = ["tests/peers", "tests/host"];
/** These need KVM and vhost-vsock. */
const IN_LAB: readonly string[] = ["tests/lab"];
/** Tests that are repeated with KVM: exec and terminals, OOM, containerd's restart. */
const ALSO_IN_LAB: readonly string[] = [
  ...["tests/e2e/exec_test.ts", "tests/e2e/restart_test.ts", "tests/conformance/life_test.ts"],
];
/** The most important tests come first: on a slow machine the time may not suffice for all. */
const FIRST: readonly string[] = ["tests/e2e", "tests/faults", "tests/conformance"];
/** Timeouts of the steps, with a margin on 2 CPUs; a step that hangs is a failure. */
const MINUTES = { check: 5, unit: 10, build: 40, file: 10, tests: 55, lab: 30, full: 120 } as const;
/**
 * A run takes at most 66 minutes. So, without --full, no file is started in the testbed or the lab
 * later than this many minutes after the start of the run; the files left out are reported as
 * skipped. After `end` minutes the lab is stopped, and the file that was running in it has failed.
 * The machine that the tests were written on needs 45 minutes for everything, with an empty cache.
 */
const UNTIL = { testbed: 50, lab: 54, end: 66 } as const;
/** A lab with less time than this does not reach its first test. */
const LAB_MINUTES_MIN = 6;
const MEMORY_GIB_MIN = 4;

/** Settings of a run that its steps depend on. */
interface Run {
  readonly full: boolean;
  /** When it started, in seconds since 1970. */
  readonly startS: number;
  /** Why this machine has no testbed; null if it has. */
  readonly noTestbed: string | null;
}

/**
 * Yields the steps in order. Each is made when its turn comes, since some depend on the time left.
 *
 * @param full whether to leave out nothing, however long it takes
 */
export function* plan(full: boolean): Generator<Step> {
  const run: Run = { full, startS: Date.now() / 1000, noTestbed: whyNoTestbed() };
  yield check("format", "fmt", "--check");
  yield check("lint", "lint");
  yield check("types", "check", ".");
  yield check("import table", "run", "--allow-read", "scripts/check_imports.ts");
  yield unitTests();
  yield fuzzing(run);
  yield build("build", null, run);
  yield build("a newer containerd", "containerd", run);
  yield build("crictl", "crictl", run);
  yield build("nerdctl", "nerdctl", run);
  // Puts the modules that tests import into Deno's cache: the testbed has no network.
  yield { ...check("types of tests", "check", "tests/"), part: "e2e" };
  const files = testFiles("tests");
  const [onHost, inLab, fuzz] = [below(ON_HOST), below(IN_LAB), below([FUZZING])];
  yield fileTests("tests on the host", "host", files.filter(onHost), run);
  const elsewhere = (path: string) => onHost(path) || inLab(path) || fuzz(path);
  const inTestbed = inOrder(files.filter((path) => !elsewhere(path)));
  yield testbedTests(inTestbed, run);
  yield labTests(files.filter(inLab), run);
}

/** A call of Deno that only passes or fails. */
function check(heading: string, ...args: string[]): Step {
  return {
    heading,
    part: "unit",
    argv: [Deno.execPath(), ...args],
    reports: null,
    timeoutMinutes: MINUTES.check,
    impossible: null,
  };
}

function unitTests(): Step {
  const reports = reportsOf("unit");
  const args = ["test", "--allow-all", `--junit-path=${reports}/unit.xml`, "--ignore=tests/", "."];
  return { ...check("unit tests", ...args), reports, timeoutMinutes: MINUTES.unit };
}

/** With --full each file takes ten minutes, one per CPU at a time: see tests/fuzz/fuzz.ts. */
function fuzzing({ full }: Run): Step {
  const reports = reportsOf("fuzz");
  const parallel = full ? ["--parallel"] : [];
  const args = ["test", ...parallel, "--allow-all", `--junit-path=${reports}/fuzz.xml`, FUZZING];
  const timeoutMinutes = full ? MINUTES.full : MINUTES.unit;
  return { ...check("fuzzing", ...args), reports, timeoutMinutes };
}

/**
 * @param peer target of scripts/build.ts that is a program in Go which only tests need; null for
 * all that an installation needs
 */
function build(heading: string, peer: string | null, { noTestbed }: Run): Step {
  const args = ["run", "--allow-all", "scripts/build.ts"];
  const common = { part: "e2e", timeoutMinutes: MINUTES.build } as const;
  if (peer === null) return { ...check(heading, ...args), ...common, impossible: noTestbed };
  return {
    ...check(heading, ...args, peer),
    ...common,
    impossible: noTestbed ?? (which("go") === null ? "needs Go" : null),
    fetches: true,
  };
}

/** Runs test files, each in a separate process. */
function fileTests(
  heading: string,
  name: string,
  paths: readonly string[],
  { full }: Run,
  { fileMinutes = MINUTES.file as number, untilS = Infinity } = {},
): Step {
  const reports = reportsOf(name);
  return {
    heading,
    part: "e2e",
    argv: [
      ...[Deno.execPath(), "run", "--allow-all", `${REPOSITORY}/scripts/test_files.ts`],
      ...[reports, String(full ? MINUTES.full : fileMinutes), String(untilS), ...paths],
    ],
    reports,
    timeoutMinutes: full ? MINUTES.full : MINUTES.tests,
    impossible: null,
  };
}

function testbedTests(paths: readonly string[], run: Run): Step {
  const untilS = limitS(run, UNTIL.testbed);
  const step = fileTests("tests in the testbed", "testbed", paths, run, { untilS });
  return { ...step, argv: testbed(step.argv), impossible: run.noTestbed };
}

/** Where this machine has KVM itself, the testbed is enough, and ALSO_IN_LAB has run in it. */
function labTests(paths: readonly string[], run: Run): Step {
  const kvm = hasKvm();
  const minutesLeft = (limitS(run, UNTIL.end) - Date.now() / 1000) / 60;
  const minutes = run.full ? MINUTES.full : Math.min(MINUTES.lab, minutesLeft);
  const files = [...paths, ...kvm ? [] : ALSO_IN_LAB];
  const step = fileTests("tests in the lab", "lab", files, run, {
    fileMinutes: MINUTES.lab,
    untilS: limitS(run, UNTIL.lab),
  });
  // The lab's own deadline comes before the step's: it reports how far it got.
  const options = kvm ? [] : ["--kvm", "--deadline", String(minutes - 1)];
  return {
    ...step,
    argv: testbed(step.argv, options),
    timeoutMinutes: minutes,
    impossible: run.noTestbed ?? (minutesLeft < LAB_MINUTES_MIN ? NO_TIME : null),
  };
}

/** @param options of scripts/testbed */
function testbed(argv: readonly string[], options: readonly string[] = []): string[] {
  return [`${REPOSITORY}/scripts/testbed`, ...options, ...argv];
}

/** The time `minutes` after the start, in seconds since 1970; Infinity with --full. */
function limitS({ full, startS }: Run, minutes: number): number {
  return full ? Infinity : startS + minutes * 60;
}

function below(directories: readonly string[]): (path: string) => boolean {
  return (path) => directories.some((directory) => path.startsWith(`${directory}/`));
}

/** Files of the directories in FIRST before all others; otherwise in the order given. */
export function inOrder(paths: readonly string[]): string[] {
  const rank = (path: string) => {
    const at = FIRST.findIndex((directory) => path.startsWith(`${directory}/`));
    return at < 0 ? FIRST.length : at;
  };
  return paths.toSorted((a, b) => rank(a) - rank(b));
}

/** Whether this machine has KVM and vhost-vsock, which the lab emulates. */
function hasKvm(): boolean {
  const host = probeHost();
  return chooseAccelerator("auto", host).accelerator === "kvm" &&
    chooseVsockTransport(host) === "kernel";
}

function reportsOf(name: string): string {
  return `${OUTPUT}/test-reports/${name}`;
}

/** Requirements of a testbed. Where they are met, a testbed that does not start is a failure. */
function whyNoTestbed(): string | null {
  if (Deno.uid() !== 0) return "needs root rights";
  if (which("apt-get") === null) return `needs Debian's apt (for packages of ${DEBIAN_SUITE})`;
  const memory = Deno.systemMemoryInfo().total / 2 ** 30;
  if (memory < MEMORY_GIB_MIN - 0.5) return `needs ${MEMORY_GIB_MIN} GB of memory`;
  return null;
}
