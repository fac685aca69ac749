import assert from "node:assert/strict";
import { documentViolations, type Repository } from "./documents.ts";
import { filesBelow } from "./source_file.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Violations of docs/page.md with this text, among a few files. */
function violations(text: string, path = "docs/page.md"): string[] {
  const contents: Record<string, string> = {
    [path]: text,
    "README.md": "# Title\n\n## Use it\n",
    "shim/task/tasks.ts": "",
    "tests/net/attach_test.ts": 'Deno.test("a chain that fails is undone", () => {});',
    "tests/net/many_test.ts": "",
    "tests/e2e/run_test.ts": "",
  };
  const repository: Repository = {
    files: Object.keys(contents),
    read: (path) => contents[path] ?? assert.fail(path),
  };
  return documentViolations(path, repository)
    .map((violation) => violation.replace(`${path}: `, ""));
}

Deno.test("every document of the repository names only what exists", () => {
  const files = [...filesBelow(ROOT, "")];
  const repository = { files, read: (path: string) => Deno.readTextFileSync(`${ROOT}/${path}`) };
  const documents = files.filter((path) => path.endsWith(".md") && !path.includes("/testdata/"));
  assert.deepEqual(documents.flatMap((path) => documentViolations(path, repository)), []);
});

Deno.test("links must lead to existing files and headings", () => {
  assert.deepEqual(violations("[a](../README.md#use-it) [b](../shim/) [c](#top)\n\n# Top\n"), []);
  assert.deepEqual(violations("[a](READ.md) [b](../README.md#use) [c](#top)\n"), [
    "link to docs/READ.md, which does not exist",
    "link to #use, which is not a heading of README.md",
    "link to #top, which is not a heading of docs/page.md",
  ]);
});

Deno.test("paths and file names in code must exist", () => {
  for (
    const text of [
      "`shim/task/tasks.ts` `tests/net/` `tests/net/*_test.ts` `tasks.ts` `task/tasks.ts`",
      "`x.ts` `x_test.ts` `/usr/shim/a` `<run>/shim/a` `boot/floor` prose net/tun",
      "`N` is `tests/net/`: `N/attach_test.ts`",
      "    tests/net/attach_test.ts. A code block (tests/e2e/)",
    ]
  ) assert.deepEqual(violations(text), [], text);
  assert.deepEqual(
    violations("`shim/a.ts` `run shim/b.ts --c` `tests/e2e/*_tests.ts` `a_plan.ts`"),
    [
      "names shim/a.ts, which does not exist",
      "names shim/b.ts, which does not exist",
      "names tests/e2e/*_tests.ts, which does not exist",
      "names a_plan.ts, but no file is called that",
    ],
  );
  assert.deepEqual(violations("N is `tests/net/`: `N/a_test.ts`\n\n```\ntests/x/\n```\n"), [
    "names tests/x/, which does not exist",
    "names N/a_test.ts, which does not exist",
  ]);
});

Deno.test("rows of test coverage must name existing test files and, in quotes, tests", () => {
  const table = (...cells: string[]) =>
    [
      "N is `tests/net/` and `E` is `tests/e2e/`.",
      ...["", "| Sentence | Test |", "| --- | --- |"],
      ...cells.map((cell, index) => `| ${index} | ${cell} |`),
    ].join("\n");
  for (
    const cell of [
      "`tests/net/attach_test.ts`, `E/run_test.ts`: anything",
      "N `attach_test.ts`, `many_test.ts`; E `run_test.ts`",
      '`N/attach_test.ts`: "a chain … is undone"; under KVM `tests/net/*_test.ts`',
      "`deno task bench --only exec`",
    ]
  ) assert.deepEqual(violations(table(cell)), [], cell);
  assert.deepEqual(
    violations(table(
      "none",
      "E `run_test.ts`, `attach_test.ts`",
      '`N/attach_test.ts`: "a chain … is undone", "a chain that works"',
    )),
    [
      'no test for "0"',
      "test tests/e2e/attach_test.ts does not exist",
      'tests/net/attach_test.ts has no test "a chain that works"',
    ],
  );
});

Deno.test("the changelog may name removed files, but not link to them", () => {
  assert.deepEqual(violations("`shim/a.ts` [a](shim/a.ts)", "CHANGELOG.md"), [
    "link to shim/a.ts, which does not exist",
  ]);
});
