import assert from "node:assert/strict";
import fc from "fast-check";
import { temporaryFolder } from "../testing/test_support.ts";
import { CONSOLE_BYTES_MAX, ConsoleLog } from "./console_log.ts";

const name = { namespace: "default", id: "c1" };
const encoder = new TextEncoder();

/** Returns the file's text after a guest wrote these chunks. */
function written(chunks: Iterable<Uint8Array | string>): string {
  using directory = temporaryFolder();
  {
    using log = new ConsoleLog(directory.path, name);
    for (const chunk of chunks) {
      log.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
    }
  }
  return Deno.readTextFileSync(`${directory.path}/console.log`);
}

Deno.test("each line carries the sandbox's name, wherever chunks end", () => {
  const text = "first\r\nsecönd €\n\n   \nlast";
  const expected = "default/c1: first\ndefault/c1: secönd €\ndefault/c1: last\n";
  assert.equal(written([text]), expected);
  const bytes = encoder.encode(text);
  fc.assert(fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
    const ends = [...cuts.sort((a, b) => a - b), bytes.length];
    assert.equal(written(ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))), expected);
  }));
});

Deno.test("a guest's output cannot look like another guest's line, or control a terminal", () => {
  const tricks = [
    "a\rdefault/c2: forged",
    "b\u0085default/c2: forged",
    "c\u2028default/c2: forged",
    "d\x1b[2J\x9b2J\x7f\0",
    "e\u202edesrever",
  ];
  const lines = written([tricks.join("\n")]).split("\n").slice(0, -1);
  assert.equal(lines.length, tricks.length);
  for (const line of lines) {
    assert.ok(line.startsWith("default/c1: "), line);
    assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u);
  }
});

Deno.test("any bytes become lines that carry this sandbox's name", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
    const text = written(chunks);
    if (text !== "") assert.match(text, /^(default\/c1: \P{C}+\n)+$/u);
  }));
});

Deno.test("a hostile guest fills no more than its limit, however it writes", () => {
  const megabyte = "x".repeat(1 << 20);
  const shapes: [string, string[]][] = [
    ["one endless line", [megabyte, megabyte]],
    ["long lines", [`${"x".repeat(2000)}\n`.repeat(1000)]],
    ["many short lines, most of which is prefixes", ["x\n".repeat(1 << 19)]],
    ["characters of many bytes", ["€€€€€€€€€€€€€€€€€€€€\n".repeat(1 << 14)]],
    ["only line ends", ["\n".repeat(1 << 20)]],
  ];
  for (const [what, chunks] of shapes) {
    const text = written(chunks);
    const longest = Math.max(...text.split("\n").map((line) => line.length));
    assert.ok(longest <= 1100, `${what}: a line of ${longest}`);
    const bytes = encoder.encode(text).length;
    assert.ok(bytes <= CONSOLE_BYTES_MAX + 1100, `${what}: ${bytes} bytes`);
  }
});

Deno.test("blank lines use up the limit too: a flood of them must not cost CPU for ever", () => {
  assert.equal(written(["\n".repeat(CONSOLE_BYTES_MAX), "late\n"]), "");
  assert.equal(written(["\n".repeat(1000), "line\n"]), "default/c1: line\n");
});

Deno.test("dropped output gives one line", () => {
  const text = written([`${"x".repeat(1000)}\n`.repeat(1000), "more\n"]);
  assert.equal(text.match(/beyond the limit is dropped/g)?.length, 1);
  assert.ok(text.endsWith("default/c1: console output beyond the limit is dropped\n"));
});

Deno.test("a guest runs on if its console log cannot be opened", () => {
  using log = new ConsoleLog("/proc/no-such-directory", name);
  log.write(encoder.encode("lost\n"));
});
