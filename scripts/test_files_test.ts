import assert from "node:assert/strict";
import { parseJunit } from "./lib/junit.ts";
import { failureReport, skippedReport, testFiles } from "./test_files.ts";

const PROGRAM = new URL("test_files.ts", import.meta.url).pathname;

Deno.test("a file without a report counts as one failed test", () => {
  assert.deepEqual(parseJunit(failureReport("tests/a_test.ts", "tests/a_test.ts runs")), {
    passed: 0,
    failed: 1,
    skipped: [],
    failures: [{ name: "tests/a_test.ts: tests/a_test.ts runs", text: "no report" }],
  });
});

Deno.test("a file that was not started counts as one skipped test, with the reason", () => {
  const { passed, failed, skipped } = parseJunit(skippedReport("tests/a_test.ts"));
  assert.deepEqual({ passed, failed }, { passed: 0, failed: 0 });
  assert.match(
    skipped.join("\n"),
    /^tests\/a_test\.ts: all tests \(skipped: time limit of the run reached; --full/,
  );
});

Deno.test("no file starts after the time limit, which is not a failure", async () => {
  const reports = await Deno.makeTempDir();
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        PROGRAM,
        reports,
        "1",
        String(Date.now() / 1000 - 1),
        "a_test.ts",
      ],
      stdout: "null",
    }).output();
    assert.equal(code, 0);
    assert.equal(Deno.readTextFileSync(`${reports}/a_test.ts.xml`), skippedReport("a_test.ts"));
  } finally {
    await Deno.remove(reports, { recursive: true });
  }
});

Deno.test("a file that crashes does not keep the others from running", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const reports = `${directory}/reports`;
    await Deno.mkdir(reports);
    await Deno.mkdir(`${directory}/deep`);
    await Deno.writeTextFile(`${directory}/a_test.ts`, "Deno.exit(7);\n");
    await Deno.writeTextFile(`${directory}/deep/b_test.ts`, 'Deno.test("b", () => {});\n');
    await Deno.writeTextFile(`${directory}/helper.ts`, "");
    const files = testFiles(directory);
    assert.deepEqual(files, [`${directory}/a_test.ts`, `${directory}/deep/b_test.ts`]);
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", PROGRAM, reports, "1", "Infinity", ...files],
      stdout: "null",
      stderr: "null",
    }).output();
    assert.equal(code, 1);
    const counts = [...Deno.readDirSync(reports)].map(({ name }) => name).sort()
      .map((name) => parseJunit(Deno.readTextFileSync(`${reports}/${name}`)));
    assert.deepEqual(counts.map(({ passed, failed }) => [passed, failed]), [[0, 1], [1, 0]]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
