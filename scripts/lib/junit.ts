/** Reads what `deno test --junit-path` writes. */

/** A test that failed, and why. */
export interface Failure {
  /** The file, then the test. */
  readonly name: string;
  /** The error with its stack; its first lines when it is long. */
  readonly text: string;
}

/** The sum of a run of tests; steps of tests count as tests. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests that were skipped; each says in itself why. */
  readonly skipped: readonly string[];
  /** The tests that `failed` counts. */
  readonly failures: readonly Failure[];
}

/** Lines of a failure's text that are worth repeating at the end of a long run. */
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

/** Also without the colours, which Deno puts into the report of a run on a terminal. */
function plain(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&#10;", "\n").replaceAll("&amp;", "&")
    // deno-lint-ignore no-control-regex
    .replaceAll(/\x1b\[[0-9;]*m/g, "");
}
