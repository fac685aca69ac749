/** Reads what `deno test --junit-path` writes. */

/** The sum of a run of tests; steps of tests count as tests. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests that were skipped; each says in itself why. */
  readonly skipped: readonly string[];
}

const CASE = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g;

/** Counts the test cases of a report. */
export function parseJunit(xml: string): TestCounts {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const [, name, file, body = ""] of xml.matchAll(CASE)) {
    if (/<(failure|error)[\s>]/.test(body)) failed++;
    else if (/<skipped[\s/>]/.test(body)) skipped.push(`${plain(file!)}: ${plain(name!)}`);
    else passed++;
  }
  return { passed, failed, skipped };
}

function plain(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'").replaceAll("&amp;", "&");
}
