/**
 * `test_files.ts REPORTS MINUTES UNTIL FILE…`: runs each test file in a `deno test` of its own. A
 * file that hangs for more than MINUTES, or that crashes its process, affects no other. Files that
 * would start after UNTIL (seconds since 1970, or Infinity) are reported as skipped. Writes a JUnit
 * report per file into the directory REPORTS. Exit status 1 when anything failed.
 */

import { after } from "../base/mod.ts";
import { existing } from "./lib/paths.ts";

/** Why the last files are skipped on a slow machine. */
export const NO_TIME = "time limit of the run reached; --full has none";

async function main([reports, minutes, until, ...files]: readonly string[]): Promise<number> {
  let failed = false;
  for (const file of files) {
    const report = `${reports}/${file.replaceAll("/", "-")}.xml`;
    if (Date.now() / 1000 > Number(until)) {
      console.log(`${file}: skipped, ${NO_TIME}`);
      await Deno.writeTextFile(report, skippedReport(file));
      continue;
    }
    const late = `${file} finishes within ${minutes} minutes`;
    const child = new Deno.Command(Deno.execPath(), {
      // An earlier step has checked the types of all files at once.
      args: ["test", "--no-check", "--allow-all", `--junit-path=${report}`, file],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    let timedOut = false;
    const timer = after(Number(minutes) * 60_000, () => {
      timedOut = true;
      child.kill("SIGKILL");
    });
    const { success } = await child.status;
    timer[Symbol.dispose]();
    if (success) continue;
    failed = true;
    if (timedOut) console.error(`${file}: out of time after ${minutes} minutes`);
    if (existing(report) === null) {
      await Deno.writeTextFile(report, failureReport(file, timedOut ? late : `${file} runs`));
    }
  }
  return failed ? 1 : 0;
}

/** Returns a report with one failed test, for a file that did not write one itself. */
export function failureReport(file: string, name: string): string {
  return reportOf(file, name, `<failure message="no report"></failure>`);
}

/** Returns a report with one skipped test, for a file that was not started. */
export function skippedReport(file: string): string {
  return reportOf(file, `all tests (skipped: ${NO_TIME})`, "<skipped/>");
}

function reportOf(file: string, name: string, outcome: string): string {
  return `<testsuites><testsuite name="${file}"><testcase name="${name}" classname="${file}">` +
    `${outcome}</testcase></testsuite></testsuites>\n`;
}

/** Returns the test files below `directory`, sorted. */
export function testFiles(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) return testFiles(path);
    return /_test\.tsx?$/.test(entry.name) ? [path] : [];
  }).sort();
}

if (import.meta.main) Deno.exit(await main(Deno.args));
