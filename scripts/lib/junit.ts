/** Reads the reports of `deno test --junit-path`. */

/** A failed test and the reason. */
export interface Failure {
  /** File and name of the test. */
  readonly name: string;
  /** The error with its stack, cut to its first lines. */
  readonly text: string;
}

/** Results of a run; steps of tests count as tests. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Names of skipped tests, which contain the reason. */
  readonly skipped: readonly string[];
  /** The tests that `failed` counts. */
  readonly failures: readonly Failure[];
}

/** Lines of a failure's text that are repeated at the end of a run. */
export const FAILURE_LINES_MAX = 60;
const LINE_CHARACTERS_MAX = 1000;

const CASE = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const FAILURE = /<(?:failure|error)(?:\s[^>]*?message="([^"]*)")?[^>]*?(?:\/>|>([\s\S]*?)<\/)/;

/** Counts the test cases of a report. */
export function parseJunit(xml: string): TestCounts {
  let passed = 0;
  const skipped: string[] = [];
  const failures: Failure[] = [];
  for (const [, name, file, body = ""] of xml.matchAll(CASE)) {
    const title = `${plain(file!)}: ${plain(name!)}`;
    const failure = FAILURE.exec(body);
    if (failure !== null) {
      failures.push({ name: title, text: firstLines(plain(failure[2] || failure[1] || "")) });
    } else if (/<skipped[\s/>]/.test(body)) skipped.push(title);
    else passed++;
  }
  return { passed, failed: failures.length, skipped, failures };
}

function firstLines(text: string): string {
  const lines = text.trim().split("\n");
  const more = lines.length - FAILURE_LINES_MAX;
  return lines.slice(0, FAILURE_LINES_MAX).map((line) => line.slice(0, LINE_CHARACTERS_MAX))
    .concat(more > 0 ? [`(${more} more lines)`] : []).join("\n");
}

/** Decodes XML, and drops the colors in reports of runs on a terminal. */
function plain(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&#10;", "\n").replaceAll("&amp;", "&")
    // deno-lint-ignore no-control-regex
    .replaceAll(/\x1b\[[0-9;]*m/g, "");
}
