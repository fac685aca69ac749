import assert from "node:assert/strict";
import { type LogRecord, resetSync } from "@logtape/logtape";
import fc from "fast-check";
import { system } from "../../ffi/mod.ts";
import { formatLine, type Logger, loggerTo, openLogFile, withFields } from "./log.ts";
import { temporaryFolder } from "../testing/test_support.ts";

const properties = { namespace: "default", id: "c1" };

function record(init: Partial<LogRecord>): LogRecord {
  return {
    category: ["qemubox"],
    level: "info",
    message: [],
    rawMessage: "",
    timestamp: Date.UTC(2024, 0, 2, 3, 4, 5, 6),
    properties,
    ...init,
  };
}

/** Runs `work` with a logger; returns its lines without the time. */
function logged(work: (log: Logger) => void, debug = false): string[] {
  const lines: string[] = [];
  try {
    const sink = (record: LogRecord) =>
      lines.push(formatLine(record).replace(/^time="[^"]*" /, ""));
    work(loggerTo({ memory: (record) => void sink(record) }, properties, debug));
  } finally {
    resetSync();
  }
  return lines;
}

const HEAD = "runtime=io.containerd.qemubox.v1 namespace=default id=c1";

Deno.test("a line is logfmt, as containerd's own", () => {
  assert.equal(
    formatLine(record({ level: "warning", message: ["", "no /dev/kvm", ""] })),
    'time="2024-01-02T03:04:05.006Z" level=warning msg="no /dev/kvm" ' +
      "runtime=io.containerd.qemubox.v1 namespace=default id=c1\n",
  );
  assert.match(formatLine(record({ message: ["a ", 1, " b"] })), /msg="a 1 b"/);
});

Deno.test("fields follow namespace and id, quoted where they are not one word", () => {
  const lines = logged((log) => {
    log.warn("slow step", { step: "boot vm", ms: 12, pid: 7n, exec: "e-1", last: true, empty: "" });
    log.error("no fields");
    log.info("a path", { path: "/run/qemubox/s/0a:1" });
  });
  assert.deepEqual(lines, [
    `level=warning msg="slow step" ${HEAD} step="boot vm" ms=12 pid=7 exec=e-1 last=true empty=""\n`,
    `level=error msg="no fields" ${HEAD}\n`,
    `level=info msg="a path" ${HEAD} path=/run/qemubox/s/0a:1\n`,
  ]);
});

Deno.test("withFields puts its fields before those of each call, which win", () => {
  const lines = logged((log) => {
    const bound = withFields(withFields(log, { container: "c2" }), { exec: "e1" });
    bound.info("one", { stream: "stdout" });
    bound.warn("two", { exec: "e2" });
    bound.error("three");
  });
  assert.deepEqual(lines, [
    `level=info msg="one" ${HEAD} container=c2 exec=e1 stream=stdout\n`,
    `level=warning msg="two" ${HEAD} container=c2 exec=e2\n`,
    `level=error msg="three" ${HEAD} container=c2 exec=e1\n`,
  ]);
});

Deno.test("a field cannot replace a key of the line, nor break it", () => {
  for (const key of ["id", "namespace", "msg", "time", "a b", "a=b", "", "Exec", "_x", "x\n"]) {
    logged((log) => {
      assert.throws(() => log.info("x", { [key]: 1 }), new TypeError(`invalid log key "${key}"`));
    });
  }
});

Deno.test("debug lines are logged only on request", () => {
  const log = (log: Logger) => log.debug("detail");
  assert.deepEqual(logged(log), []);
  assert.deepEqual(logged(log, true), [`level=debug msg="detail" ${HEAD}\n`]);
});

Deno.test("braces in a message stay as they are", () => {
  const message = '{id} {{x}} {"a": 1} {*} }}';
  assert.deepEqual(logged((log) => log.info(message, { exec: "e" })), [
    `level=info msg=${JSON.stringify(message)} ${HEAD} exec=e\n`,
  ]);
});

Deno.test("a message stays one line and one value, with printable characters only", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(text, text, (message, field) => {
    const line = formatLine(
      record({ message: ["", message, ""], properties: { ...properties, field } }),
    );
    assert.equal(line.indexOf("\n"), line.length - 1);
    assert.doesNotMatch(line.slice(0, -1), /[\p{C}\p{Zl}\p{Zp}]/u);
    const string = '"(?:[^"\\\\]|\\\\.)*"';
    const [, msg, value] = new RegExp(`msg=(${string}) ${HEAD} field=(${string}|\\S+)\n$`)
      .exec(line)!;
    assert.equal(JSON.parse(msg!), message);
    assert.equal(value!.startsWith('"') ? JSON.parse(value!) : value, field);
  }));
  const hostile = 'said "x"\n level=error \x1b[2J \x9b31m \u202e';
  assert.match(formatLine(record({ message: [hostile] })), /\\u001b\[2J \\u009b31m \\u202e"/);
});

Deno.test("shims append to one file", () => {
  using directory = temporaryFolder();
  const path = `${directory.path}/logs/deep`;
  for (const text of ["one\n", "two\n"]) {
    const fd = openLogFile(path, "x.log")!;
    system.write(fd, new TextEncoder().encode(text));
    system.close(fd);
  }
  assert.equal(Deno.readTextFileSync(`${path}/x.log`), "one\ntwo\n");
  assert.equal(Deno.statSync(`${path}/x.log`).mode! & 0o027, 0, "others must not read it");
});

Deno.test("a large file is moved aside once", () => {
  using directory = temporaryFolder();
  const path = `${directory.path}/x.log`;
  Deno.writeTextFileSync(path, "old");
  Deno.truncateSync(path, 16 * 1024 * 1024 + 1);
  for (let time = 0; time < 2; time++) system.close(openLogFile(directory.path, "x.log")!);
  assert.deepEqual([...Deno.readDirSync(directory.path)].map((one) => one.name).sort(), [
    "x.log",
    "x.log.1",
  ]);
  assert.equal(Deno.statSync(path).size, 0);
});

Deno.test("a symbolic link in place of the log is not followed", () => {
  using directory = temporaryFolder();
  Deno.writeTextFileSync(`${directory.path}/victim`, "");
  Deno.symlinkSync(`${directory.path}/victim`, `${directory.path}/x.log`);
  assert.equal(openLogFile(directory.path, "x.log"), null);
});

Deno.test("openLogFile returns null where no file can be made", () => {
  assert.equal(openLogFile("/proc/no-such-directory", "x.log"), null);
});
