/** Checks that the links, files and tests in Markdown documents exist. */

import { anchorsOf, linksOf, tablesOf } from "./markdown.ts";
import { DIRECTORIES } from "./tables.ts";

/** The repository, as far as documents talk about it. Paths are relative to it. */
export interface Repository {
  /** All files of the repository that a document may name. */
  readonly files: readonly string[];
  read(path: string): string;
}

const TOP_DIRECTORIES = [...Object.keys(DIRECTORIES), "scripts", "tests", "docs", "examples"];
/** A word that begins with a top directory and is not part of a longer path. */
const PATH = new RegExp(`(?<![\\w/.<>~@*…-])(?:${TOP_DIRECTORIES.join("|")})/[\\w./*-]*`, "g");
/** Fenced, or indented by four columns. */
const CODE_BLOCK = /^( *)```.*\n([^]*?)^\1``` *$|^ {4}.*$/gm;
const CODE_SPAN = /`([^`]+)`/g;
const FILE_NAME = /^[\w.-]+\.(?:ts|sh|proto)$/;
/** `x.ts`, `x_test.ts` stand for any file. */
const PLACEHOLDER = /^x[._]/;
/** `N` is `tests/net/`: the letter stands for the directory in that document. */
const ABBREVIATION = /(?<!\w)`?([A-Z])`?\s+is\s+`(tests\/\w+\/)`/g;
const TEST = /(?:\b([A-Z])\s+)?`([\w./*-]+_test\.ts)`(?::\s*((?:"[^"]*"(?:,\s*)?)+))?/g;
/** Numbers are tested by the benchmark's goals. */
const BENCHMARK = /task bench|benchmarks\.md/;
/** Old entries name files that may have been removed since. */
const HISTORY = "CHANGELOG.md";

/** All violations of the document `path`. */
export function documentViolations(path: string, repository: Repository): string[] {
  const text = repository.read(path);
  const found = [
    ...linkViolations(path, text, repository),
    ...path === HISTORY ? [] : [
      ...pathViolations(text, repository),
      ...coverageViolations(text, repository),
    ],
  ];
  return [...new Set(found)].map((violation) => `${path}: ${violation}`);
}

function linkViolations(from: string, text: string, repository: Repository): string[] {
  return linksOf(text).flatMap(({ path, anchor }) => {
    const target = path === "" ? from : new URL(path, `file:///${from}`).pathname.slice(1);
    if (!exists(target, repository)) return [`link to ${target}, which does not exist`];
    if (anchor === null || anchorsOf(repository.read(target)).has(anchor)) return [];
    return [`link to #${anchor}, which is not a heading of ${target}`];
  });
}

/** Paths in code, abbreviated ones (`N/a_test.ts`), and file names that are a code span. */
function pathViolations(text: string, repository: Repository): string[] {
  const blocks = [...text.matchAll(CODE_BLOCK)].map(([block]) => block);
  const spans = [...text.replace(CODE_BLOCK, "").matchAll(CODE_SPAN)].map(([, span]) => span!);
  const paths = [...blocks, ...spans].flatMap((code) => [...code.matchAll(PATH)])
    .map(([path]) => path.replace(/[.-]+$/, ""));
  const names = spans.filter((span) => FILE_NAME.test(span) && !PLACEHOLDER.test(span));
  return [
    ...paths.filter((path) => !exists(path, repository))
      .map((path) => `names ${path}, which does not exist`),
    ...spans.filter((span) => /^[A-Z]\/[\w.*-]+$/.test(span))
      .filter((span) => !exists(expand(span, abbreviations(text)), repository))
      .map((span) => `names ${span}, which does not exist`),
    ...names.filter((name) => !repository.files.some((file) => `/${file}`.endsWith(`/${name}`)))
      .map((name) => `names ${name}, but no file is called that`),
  ];
}

/** Rows of tables whose last column is "Test": each names a test that exists. */
function coverageViolations(text: string, repository: Repository): string[] {
  const tables = tablesOf(text).filter(([head]) => head?.at(-1) === "Test");
  return tables.flatMap((table) => table.slice(1)).flatMap((row) => {
    const cell = row.at(-1)!;
    const tests = [...cell.matchAll(TEST)];
    if (tests.length === 0 && !BENCHMARK.test(cell)) {
      return [`no test for "${row[0]}"`];
    }
    // "E `a_test.ts`, `b_test.ts`": the letter goes for both.
    let letter: string | undefined;
    return tests.flatMap(([, ownLetter, name, quotes]) => {
      letter = ownLetter ?? letter;
      const short = name!.includes("/") || letter === undefined ? name! : `${letter}/${name}`;
      const path = expand(short, abbreviations(text));
      if (!exists(path, repository)) return [`test ${path} does not exist`];
      return missingNames(path, quotes ?? "", repository);
    });
  });
}

/** Test names in quotes, where "…" stands for any text. */
function missingNames(path: string, quotes: string, repository: Repository): string[] {
  const content = quotes === "" ? "" : repository.read(path);
  return [...quotes.matchAll(/"([^"]*)"/g)].map(([, name]) => name!)
    .filter((name) => !name.split("…").every((part) => content.includes(part.trim())))
    .map((name) => `${path} has no test "${name}"`);
}

function abbreviations(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(ABBREVIATION)].map(([, letter, path]) => [letter!, path!]));
}

function expand(path: string, abbreviations: ReadonlyMap<string, string>): string {
  const directory = path[1] === "/" ? abbreviations.get(path[0]!) : undefined;
  return directory === undefined ? path : directory + path.slice(2);
}

/** Whether `path` is a file, a directory or a pattern of the repository. */
function exists(path: string, { files }: Repository): boolean {
  const plain = path.replace(/\/$/, "");
  if (plain.includes("*")) {
    const escaped = plain.replace(/[.+]/g, "\\$&").replaceAll("*", "[^/]*");
    const pattern = new RegExp(`^${escaped}$`);
    return files.some((file) => pattern.test(file));
  }
  return files.some((file) => file === plain || file.startsWith(`${plain}/`));
}
