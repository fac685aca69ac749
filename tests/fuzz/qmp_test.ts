/** The monitor of a QEMU that its guest has taken over, and the answer of vhost-device-vsock. */

import assert from "node:assert/strict";
import { type VmError, VmError as QemuError } from "../../qemu/mod.ts";
import { QmpClient } from "../../qemu/qmp.ts";
import { QMP_LINE_BYTES_MAX, QmpDecoder } from "../../qemu/qmp_decoder.ts";
import { requestPort } from "../../qemu/vsock.ts";
import { fuzz } from "./fuzz.ts";
import { peer } from "./streams.ts";
import { isPlain, pieces, sizesOf, type Target, utf8 } from "./target.ts";

const TEXT_CHARACTERS_MAX = 501;
/** An error with a class, a description, and words around them. */
const ERROR_CHARACTERS_MAX = 1500;

const isVmError = (error: unknown): error is VmError =>
  error instanceof QemuError && isPlain(error.message, ERROR_CHARACTERS_MAX);
const isProtocol = (error: unknown) => isVmError(error) && error.kind === "protocol";

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 1, "major": 11}}, "capabilities": ["oob"]}}';
const CAPABILITIES = '{"return": {}, "id": 1}';
const EVENT = '{"event": "SHUTDOWN", "data": {"reason": "guest-reset"}, "timestamp": {}}';
const REFUSAL = '{"error": {"class": "GenericError", "desc": "no x"}, "id": 2}';
const ANSWER = '{"return": {"fds": [{"fd": 3}], "fdset-id": 1}, "id": 2}';
const SEEDS = [
  [GREETING, CAPABILITIES, ANSWER],
  [GREETING, CAPABILITIES, EVENT, REFUSAL],
  [EVENT, ANSWER],
].map((lines) => utf8(lines.map((line) => `${line}\r\n`).join("")));
const WORDS = [
  ...['"QMP"', '"version"', '"qemu"', '"return"', '"error"', '"event"', '"data"', '"id"', '"desc"'],
  ...['"toString"', '"valueOf"', '"__proto__"', '"length"', '{"toString":1,"valueOf":1}'],
  ...["{", "}", "[", "]", "[[[[", ":", ",", "\n", "null", "true", "1e999", "-0", "1", '"x"'],
  ...['"\\u001b[31m"', '"\\ud800"', '"\u2028"'],
];

/** Returns the messages and the error of a stream. */
function decoded(chunks: Iterable<Uint8Array>): [unknown[], unknown] {
  const decoder = new QmpDecoder();
  const seen: unknown[] = [];
  try {
    for (const chunk of chunks) {
      for (const message of decoder.push(chunk)) {
        seen.push(message);
        if (message.kind === "greeting") {
          assert(isPlain(message.version, TEXT_CHARACTERS_MAX), message.version);
        }
        if (message.kind === "error") {
          assert(isPlain(message.class, TEXT_CHARACTERS_MAX), message.class);
          assert(isPlain(message.description, TEXT_CHARACTERS_MAX), message.description);
        }
      }
    }
    return [seen, null];
  } catch (error) {
    return [seen, error];
  }
}

const decoder: Target = {
  name: "qmp-decoder",
  seeds: SEEDS,
  words: WORDS,
  bytesMax: QMP_LINE_BYTES_MAX + 64 * 1024,
  parse: (bytes) => {
    const [messages, error] = decoded([bytes]);
    const [same, sameError] = decoded(pieces(bytes, sizesOf(bytes)));
    if (error !== null && !isProtocol(error)) throw error;
    assert.equal(String(sameError), String(error), "pieces make a difference");
    assert.equal(same.length, messages.length, "pieces make a difference");
    return `${messages.slice(0, 4).map((one) => (one as { kind: string }).kind)} ${error}`;
  },
  refuses: () => false,
};

const client: Target = {
  name: "qmp-client",
  seeds: SEEDS,
  words: WORDS,
  parse: async (bytes) => {
    const stream = peer(bytes, sizesOf(bytes));
    const events: string[] = [];
    const onEvent = ({ name }: { name: string }) => void events.push(name);
    try {
      await using client = await QmpClient.connect(stream, { onEvent });
      assert(isPlain(client.version, TEXT_CHARACTERS_MAX), client.version);
      await client.execute("query-fdsets");
      return `answered ${events.length}`;
    } finally {
      assert(stream.closed, "stream stays open");
    }
  },
  refuses: isProtocol,
};

const port: Target = {
  name: "vsock-answer",
  seeds: [utf8("OK 1025\n"), utf8("OK 4294967295\n")],
  words: ["\x1b[31m", "\n", "OK "],
  parse: async (bytes) => {
    const stream = peer(bytes, sizesOf(bytes));
    await requestPort(stream, 1025);
    return "connected";
  },
  refuses: isProtocol,
};

fuzz(decoder, client, port);
