/** Hostile text on its way into errors and logs, and what vminitd reads of crun and CRIU. */

import assert from "node:assert/strict";
import { isIdentifier, oneLine, printable, quoted } from "../../base/mod.ts";
import { crunError, exitCodeOfFailure } from "../../guest/runtime/crun_error.ts";
import { criuErrors } from "../../guest/runtime/criu_log.ts";
import { Code, encodeOciJson, parseOciJson } from "../../proto/mod.ts";
import { fuzz } from "./fuzz.ts";
import { isPlain, type Target, utf8 } from "./target.ts";

const CHARACTERS_MAX = 80;
const QUOTED_CHARACTERS_MAX = 6 * 101 + 2;
/** 1,024 characters, and the words around them. */
const CRUN_CHARACTERS_MAX = 1200;
const WORDS = [
  ...["\x1b[31m", "\x1b[", "\x1b", "\x9b", "\r\n", "\n", "\u202e", "\u2028", "\u200b", "\ufeff"],
  ...["\ufffe", "\u{e0001}", "\u{10ffff}", "👩‍👩‍👧", "…", '"', "\\"],
];

const text: Target = {
  name: "printable-text",
  seeds: [utf8("plain"), utf8("two\n  lines"), utf8("\x1b[1;31mred\x1b[0m ünïcode 👍")],
  words: WORDS,
  parse: (bytes) => {
    // UTF-16 has lone surrogates, UTF-8 has not.
    for (const encoding of ["utf-8", "utf-16le"]) {
      const text = encoding === "utf-8" ? new TextDecoder().decode(bytes) : utf16(bytes);
      for (const made of [printable(text, CHARACTERS_MAX), oneLine(text, CHARACTERS_MAX)]) {
        assert(isPlain(made, CHARACTERS_MAX + 1), `not plain: ${JSON.stringify(made)}`);
      }
      const json = quoted(text);
      assert(isPlain(json, QUOTED_CHARACTERS_MAX), `not plain: ${JSON.stringify(json)}`);
      JSON.parse(json);
      if (isIdentifier(text)) assert(/^[\w.-]+$/.test(text), text);
    }
    return printable(new TextDecoder().decode(bytes), 10);
  },
  refuses: () => false,
};

/** Decodes without the replacement of lone surrogates. */
function utf16(bytes: Uint8Array): string {
  const units = Array.from(
    { length: bytes.length >> 1 },
    (_, index) => bytes[2 * index]! | bytes[2 * index + 1]! << 8,
  );
  return units.map((unit) => String.fromCharCode(unit)).join("");
}

const criu: Target = {
  name: "criu-log",
  seeds: [
    utf8("(00.012345)      1: Error (criu/files-reg.c:1234): File bin/x has bad size\n"),
    utf8("(00.01) Warn  (criu/x.c:1): y\n(00.02) Error (criu/c.c:3): three\n"),
  ],
  words: ["(00.1) Error (", "1: ", "\n", ...WORDS],
  parse: (bytes) => {
    const errors = criuErrors(new TextDecoder().decode(bytes));
    assert(errors.length <= 1000 && !errors.includes("\n"), errors);
    return errors;
  },
  refuses: () => false,
};

const crun: Target = {
  name: "crun-log",
  seeds: [
    utf8('{\n  "msg": "executable file `x` not found in $PATH",\n  "level": "error"\n}\n'),
    utf8('{\n  "msg": "no such process",\n  "level": "error"\n}\n{\n  "level": "warning"\n}\n'),
  ],
  words: [
    "{",
    "}",
    "\n}\n",
    '"msg"',
    '"error"',
    '"level"',
    "container ",
    "does not exist",
    ...WORDS,
  ],
  bytesMax: 64 * 1024,
  parse: (bytes) => {
    const log = new TextDecoder().decode(bytes);
    const { code, message } = crunError("exec", { code: 1, signal: null } as never, log);
    assert(message.length <= CRUN_CHARACTERS_MAX, `${message.length} characters`);
    return `${Code[code]} ${exitCodeOfFailure(message) === 127}`;
  },
  refuses: () => false,
};

const json: Target = {
  name: "oci-json",
  seeds: [
    utf8('{"process":{"args":["sh"],"rlimits":[{"hard":18446744073709551615}]}}'),
    utf8('[-9223372036854775808,1e3,1.5,9007199254740993,"9007199254740993"]'),
  ],
  words: ["{", "}", "[", "]", ":", ",", '"', "9007199254740993", "-", ".", "e1", '"__proto__"'],
  bytesMax: 64 * 1024,
  parse: (bytes) => {
    const value = parseOciJson(new TextDecoder().decode(bytes));
    const encoded = encodeOciJson(value);
    assert.deepEqual(encodeOciJson(parseOciJson(new TextDecoder().decode(encoded))), encoded);
    return typeof value;
  },
  refuses: (error) => error instanceof SyntaxError,
};

fuzz(text, criu, crun, json);
