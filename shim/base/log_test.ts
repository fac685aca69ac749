import assert from "node:assert/strict";
import type { LogRecord } from "@logtape/logtape";
import { system } from "../../ffi/mod.ts";
import { formatLine, openLogFile } from "./log.ts";
import { temporaryFolder } from "../testing/test_support.ts";

const name = { namespace: "default", id: "c1" };

function record(init: Partial<LogRecord>): LogRecord {
  return {
    category: ["qemubox"],
    level: "info",
    message: [],
    rawMessage: "",
    timestamp: Date.UTC(2024, 0, 2, 3, 4, 5, 6),
    properties: {},
    ...init,
  };
}

Deno.test("a line is logfmt, as containerd's own", () => {
  assert.equal(
    formatLine(record({ level: "warning", properties: { message: "no /dev/kvm" } }), name),
    'time="2024-01-02T03:04:05.006Z" level=warning msg="no /dev/kvm" ' +
      "runtime=io.containerd.qemubox.v1 namespace=default id=c1\n",
  );
  assert.match(formatLine(record({ message: ["a ", 1, " b"] }), name), /msg="a 1 b"/);
});

Deno.test("a message stays one line, and one value", () => {
  const message = 'said "x"\n level=error \x1b[2J';
  const line = formatLine(record({ properties: { message } }), name);
  assert.equal(line.indexOf("\n"), line.length - 1);
  const value = /msg=("(?:[^"\\]|\\.)*") runtime=/.exec(line)![1]!;
  assert.equal(JSON.parse(value), message);
});

Deno.test("shims append to one file", () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/logs/deep`;
  for (const text of ["one\n", "two\n"]) {
    const fd = openLogFile(path, "x.log")!;
    system.write(fd, new TextEncoder().encode(text));
    system.close(fd);
  }
  assert.equal(Deno.readTextFileSync(`${path}/x.log`), "one\ntwo\n");
  assert.equal(Deno.statSync(`${path}/x.log`).mode! & 0o027, 0, "others must not read it");
});

Deno.test("a large file is put aside, once", () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/x.log`;
  Deno.writeTextFileSync(path, "old");
  Deno.truncateSync(path, 16 * 1024 * 1024 + 1);
  for (let time = 0; time < 2; time++) system.close(openLogFile(folder.path, "x.log")!);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map((one) => one.name).sort(), [
    "x.log",
    "x.log.1",
  ]);
  assert.equal(Deno.statSync(path).size, 0);
});

Deno.test("a link in place of the log is not followed", () => {
  using folder = temporaryFolder();
  Deno.writeTextFileSync(`${folder.path}/victim`, "");
  Deno.symlinkSync(`${folder.path}/victim`, `${folder.path}/x.log`);
  assert.equal(openLogFile(folder.path, "x.log"), null);
});

Deno.test("without a place for it, there is no log", () => {
  assert.equal(openLogFile("/proc/no-such-folder", "x.log"), null);
});
