/** The console of a hostile guest: the ready line, the last line, the log. */

import assert from "node:assert/strict";
import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import { LastLine } from "../../qemu/last_line.ts";
import { MarkerScanner } from "../../qemu/marker_scanner.ts";
import { CONSOLE_BYTES_MAX, ConsoleLog } from "../../shim/sandbox/console_log.ts";
import { fuzz } from "./fuzz.ts";
import { isPlain, pieces, sizesOf, type Target, utf8 } from "./target.ts";

/** A line, an ellipsis and a byte order mark or two. */
const LINE_CHARACTERS_MAX = 520;
const RECORD_CHARACTERS_MAX = 1100;
const WORDS = [
  ...[GUEST_READY_MARKER, "Kernel panic", "qemubox: stage 0 failed: ", "qemubox: vminitd died: "],
  ...["\n", "\r\n", "\x1b[2J", "\x1b[", "\x07", "\u202e", "\u2028", "default/other: ", "\0"],
];
const SEEDS = [
  `[    0.1] Linux version\nqemubox: x\n${GUEST_READY_MARKER}\n`,
  "[    1.2] Kernel panic - not syncing: Attempted to kill init!\nlater\n",
  "qemubox: stage 0 failed: the root image cannot be mounted\nKernel panic\n",
].map(utf8);

const marker: Target = {
  name: "console-marker",
  seeds: SEEDS,
  words: [...WORDS, GUEST_READY_MARKER.slice(0, 5), GUEST_READY_MARKER.slice(5)],
  parse: (bytes) => {
    const whole = new MarkerScanner(GUEST_READY_MARKER).push(bytes);
    const scanner = new MarkerScanner(GUEST_READY_MARKER);
    let found = false;
    for (const piece of pieces(bytes, sizesOf(bytes))) found = scanner.push(piece);
    assert.equal(found, whole, "pieces make a difference");
    // Latin-1 keeps each byte.
    const text = new TextDecoder("latin1").decode(bytes);
    assert.equal(whole, text.includes(GUEST_READY_MARKER));
    return String(whole);
  },
  refuses: () => false,
};

const lastLine: Target = {
  name: "console-last-line",
  seeds: SEEDS,
  words: WORDS,
  parse: (bytes) => {
    const last = new LastLine();
    for (const piece of pieces(bytes, sizesOf(bytes))) last.push(piece);
    const { text } = last;
    assert(isPlain(text, LINE_CHARACTERS_MAX), `not plain: ${JSON.stringify(text)}`);
    return text.slice(0, 20);
  },
  refuses: () => false,
};

const log: Target = {
  name: "console-log",
  seeds: SEEDS,
  words: WORDS,
  parse: (bytes) => {
    const directory = Deno.makeTempDirSync({ prefix: "fuzz-console-" });
    try {
      {
        using log = new ConsoleLog(directory, { namespace: "default", id: "c" });
        for (const piece of pieces(bytes, sizesOf(bytes))) log.write(piece);
      }
      const text = Deno.readTextFileSync(`${directory}/console.log`);
      assert(text.length <= CONSOLE_BYTES_MAX + RECORD_CHARACTERS_MAX, `${text.length} bytes`);
      const lines = text.split("\n");
      assert.equal(lines.pop(), "");
      for (const line of lines) {
        assert(line.startsWith("default/c: "), `speaks for another: ${JSON.stringify(line)}`);
        assert(isPlain(line, RECORD_CHARACTERS_MAX), `not plain: ${JSON.stringify(line)}`);
      }
      return `${lines.length}`.replaceAll(/\d/g, "+");
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
  refuses: () => false,
};

fuzz(marker, lastLine, log);
