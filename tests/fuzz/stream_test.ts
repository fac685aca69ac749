/** Byte streams of hostile peers: the challenge, the opening, the frames. */

import assert from "node:assert/strict";
import {
  acceptStream,
  answerChallenge,
  challengePeer,
  Code,
  FrameReader,
  GuestSecret,
  openStream,
  RpcError,
  SECRET_DIGITS,
  STREAM_ID_BYTES_MAX,
} from "../../proto/mod.ts";
import { Gate } from "../../guest/base/gate.ts";
import { concat } from "../lib/bytes.ts";
import { fuzz } from "./fuzz.ts";
import { peer } from "./streams.ts";
import { isPlain, sizesOf, type Target, utf8 } from "./target.ts";

/** A refusal of 1 KiB, and the words around it. */
const ERROR_CHARACTERS_MAX = 1024 + 100;

const isLoss = (error: unknown) => error instanceof RpcError && error.code === Code.DataLoss;

const frame = (text: string) => Uint8Array.of(0, 0, 0, text.length, ...utf8(text));
const END = new Uint8Array(4);

/** Reads frames to their end. */
async function contentOf(bytes: Uint8Array, sizes?: number[]): Promise<[Uint8Array, string]> {
  const stream = peer(bytes, sizes);
  const reader = new FrameReader(stream);
  const chunks: Uint8Array[] = [];
  let end = "end";
  try {
    for (let chunk; (chunk = await reader.read()) !== null;) {
      assert(chunk.length > 0, "empty chunk");
      chunks.push(chunk.slice());
    }
  } catch (error) {
    if (!isLoss(error)) throw error;
    end = (error as Error).message;
  }
  assert(stream.closed, "stream stays open");
  const content = concat(chunks);
  assert(content.length <= bytes.length);
  return [content, end];
}

const frames: Target = {
  name: "stream-frames",
  seeds: [concat([frame("hello"), frame("x"), END]), END, concat([END, frame("late")])],
  parse: async (bytes) => {
    const [whole, end] = await contentOf(bytes);
    const [pieces, endOfPieces] = await contentOf(bytes, sizesOf(bytes));
    assert.equal(endOfPieces, end, "pieces make a difference");
    assert.deepEqual(pieces, whole, "pieces make a difference");
    return end;
  },
  refuses: () => false,
};

const opening: Target = {
  name: "stream-opening",
  seeds: [Uint8Array.of(0), concat([Uint8Array.of(1), frame("no such stream")])],
  words: ["\x1b[31m", "\u202e", "\u2028", "\n"],
  parse: async (bytes) => {
    const stream = peer(bytes, sizesOf(bytes));
    try {
      await openStream(stream, "c/stdout");
    } catch (error) {
      assert(stream.closed, "stream stays open");
      const { message } = error as Error;
      assert(isPlain(message, ERROR_CHARACTERS_MAX), `not plain: ${JSON.stringify(message)}`);
      throw error;
    }
    assert(!stream.closed, "stream is closed");
    return "opened";
  },
  refuses: (error) => isLoss(error) || error instanceof RpcError && error.code === Code.NotFound,
};

const accepting: Target = {
  name: "stream-accepting",
  seeds: [frame("c/stdout"), frame("c/e/stdin"), frame("x y")],
  words: ["c/stdout", "\n", "\u2028"],
  parse: async (bytes) => {
    const stream = peer(bytes, sizesOf(bytes));
    const id = await acceptStream(stream, (id) => id.endsWith("out") || `no stream ${id}`);
    assert.equal(stream.closed, id === null);
    const { length } = stream.written();
    assert(length <= ERROR_CHARACTERS_MAX, `answered ${length} bytes`);
    if (id !== null) assert(/^[\w./:-]+$/.test(id) && id.length <= STREAM_ID_BYTES_MAX, id);
    return `${id === null} ${length}`;
  },
  refuses: () => false,
};

const PORT = 1025;
const secret = GuestSecret.fromDigits(utf8("5a".repeat(SECRET_DIGITS / 2)));

const handshake: Target = {
  name: "handshake",
  seeds: [new Uint8Array(32), new Uint8Array(40).fill(7)],
  parse: async (bytes) => {
    assert.equal(await challengePeer(peer(bytes), PORT, Promise.resolve(secret)), false);
    const stream = peer(bytes, sizesOf(bytes));
    await answerChallenge(stream, PORT, secret);
    assert.equal(stream.written().length, 32);
    return "answered";
  },
  refuses: isLoss,
};

const gate: Target = {
  name: "gate",
  seeds: handshake.seeds,
  parse: async (bytes) => {
    const lines: string[] = [];
    const console = { log: (line: string) => void lines.push(line) };
    const options = { name: "rpc", port: PORT, secret: Promise.resolve(secret), console };
    const guarded = new Gate({ ...options, refusalDelayMs: 0 });
    const stream = peer(bytes, sizesOf(bytes));
    assert.equal(await guarded.admits(stream), false);
    assert(stream.closed, "connection stays open");
    assert.equal(lines.length, 1);
    return lines[0]!;
  },
  refuses: () => false,
};

const digits: Target = {
  name: "secret",
  seeds: [secret.digits()],
  parse: (bytes) => {
    assert.deepEqual(GuestSecret.fromDigits(bytes).digits(), bytes);
    return "secret";
  },
  refuses: (error) => error instanceof TypeError && /^secret must be /.test(error.message),
};

fuzz(frames, opening, accepting, handshake, gate, digits);
