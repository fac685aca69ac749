/**
 * `test_files.ts REPORTS MINUTES UNTIL FILE…`: runs each test file in a `deno test` of its own, so
 * that one that hangs, or takes the process down, costs its own results and no others. None is
 * begun after UNTIL (seconds since 1970, or Infinity): it is skipped, and says so. Leaves a JUnit
 * report for each in the folder REPORTS. Exit status 1 when anything failed.
 */

import { existing } from "./lib/paths.ts";

/** Why what comes last is skipped on a slow machine. */
export const NO_TIME = "the time of a run was used up; --full takes what it takes";

async function main([reports, minutes, until, ...files]: readonly string[]): Promise<number> {
  let failed = false;
  for (const file of files) {
    const report = `${reports}/${file.replaceAll("/", "-")}.xml`;
    if (Date.now() / 1000 > Number(until)) {
      console.log(`${file}: skipped, ${NO_TIME}`);
      await Deno.writeTextFile(report, skippedReport(file));
      continue;
    }
    const late = `${file} ended within ${minutes} minutes`;
    const child = new Deno.Command(Deno.execPath(), {
      // A step of its own has checked the types of all at once.
      args: ["test", "--no-check", "--allow-all", `--junit-path=${report}`, file],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, Number(minutes) * 60_000);
    const { success } = await child.status;
    clearTimeout(timer);
    if (success) continue;
    failed = true;
    if (timedOut) console.error(`${file}: out of time after ${minutes} minutes`);
    if (existing(report) === null) {
      await Deno.writeTextFile(report, failureReport(file, timedOut ? late : `${file} runs`));
    }
  }
  return failed ? 1 : 0;
}

/** A report with one failed test, for a file that has not come to write one. */
export function failureReport(file: string, name: string): string {
  return reportOf(file, name, `<failure message="no report"></failure>`);
}

/** A report with one skipped test, for a file that was not begun. */
export function skippedReport(file: string): string {
  return reportOf(file, `all of it (skipped: ${NO_TIME})`, "<skipped/>");
}

function reportOf(file: string, name: string, outcome: string): string {
  return `<testsuites><testsuite name="${file}"><testcase name="${name}" classname="${file}">` +
    `${outcome}</testcase></testsuite></testsuites>\n`;
}

/** The test files below `folder`, sorted. */
export function testFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) return testFiles(path);
    return /_test\.tsx?$/.test(entry.name) ? [path] : [];
  }).sort();
}

if (import.meta.main) Deno.exit(await main(Deno.args));
