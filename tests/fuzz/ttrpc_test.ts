/** TTRPC of hostile peers: messages, a client of a hostile guest, a server of a hostile host. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import {
  Code,
  create,
  createClient,
  guest,
  implement,
  MESSAGE_BYTES_MAX,
  RpcError,
  taskV3,
  toBinary,
  TtrpcConnection,
  TtrpcServer,
} from "../../proto/mod.ts";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/request_schema.ts";
import { encodeHeader, HEADER_BYTES, MessageReader } from "../../proto/ttrpc/message.ts";
import { concat, sha256 } from "../lib/bytes.ts";
import { fuzz } from "./fuzz.ts";
import { peer } from "./streams.ts";
import { sizesOf, type Target } from "./target.ts";

const [REQUEST, RESPONSE, DATA] = [1, 2, 3];
/** Frames around a long name: an answer repeats at most this much of it. */
const ANSWER_BYTES_MAX = 2048;

function frame(streamId: number, type: number, flags: number, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  encodeHeader({ length: payload.length, streamId, type, flags }, header);
  return concat([header, payload]);
}

const response = (payload: Uint8Array) =>
  toBinary(ResponseSchema, create(ResponseSchema, { payload }));
const refusal = toBinary(
  ResponseSchema,
  create(ResponseSchema, { status: { code: 5, message: "no such task" } }),
);
const request = (service: string, method: string, timeoutNano = 0n) =>
  toBinary(RequestSchema, create(RequestSchema, { service, method, timeoutNano }));
const pids = toBinary(
  taskV3.PidsResponseSchema,
  create(taskV3.PidsResponseSchema, { processes: [{ pid: 7 }, { pid: 9 }] }),
);
const event = toBinary(
  guest.GuestEventSchema,
  create(guest.GuestEventSchema, { topic: "/tasks/oom" }),
);
const ANSWERS = [
  frame(1, RESPONSE, 0, response(pids)),
  frame(3, RESPONSE, 0, refusal),
  concat([frame(1, RESPONSE, 0, response(pids)), frame(3, RESPONSE, 0, refusal)]),
  concat([frame(5, DATA, 0, event), frame(5, DATA, 0, event), frame(5, DATA, 5, new Uint8Array())]),
  concat([frame(5, DATA, 0, event), frame(5, RESPONSE, 0, refusal)]),
];
const REQUESTS = [
  frame(1, REQUEST, 0, request("containerd.task.v3.Task", "Pids")),
  frame(3, REQUEST, 0, request("qemubox.guest.v1.System", "Events", 1_000n)),
  concat([1, 3, 5].map((id) => frame(id, REQUEST, 0, request("x", "y")))),
];

const isRpcError = (error: unknown) => error instanceof RpcError;

/** What a reader makes of a stream, in words. */
async function messagesOf(bytes: Uint8Array, sizes?: number[]): Promise<string[]> {
  const reader = new MessageReader(peer(bytes, sizes));
  const seen: string[] = [];
  try {
    for (;;) {
      const message = await reader.next();
      if (message === null) return [...seen, "end"];
      const { header, payload } = message;
      const { length, streamId, type, flags } = header;
      assert.equal(payload === null, length > MESSAGE_BYTES_MAX);
      seen.push(`${length} ${streamId} ${type} ${flags} ${payload === null || sha256(payload)}`);
      if (payload === null) await reader.discard(length);
    }
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.DataLoss) throw error;
    return [...seen, "lost"];
  }
}

const messages: Target = {
  name: "ttrpc-messages",
  seeds: [...ANSWERS, ...REQUESTS],
  parse: async (bytes) => {
    const whole = await messagesOf(bytes);
    assert.deepEqual(await messagesOf(bytes, sizesOf(bytes)), whole, "pieces make a difference");
    return whole.at(-1)!;
  },
  refuses: () => false,
};

const client: Target = {
  name: "ttrpc-client",
  seeds: ANSWERS,
  parse: async (bytes) => {
    const stream = peer(bytes, sizesOf(bytes));
    const connection = new TtrpcConnection(stream);
    const task = createClient(taskV3.Task, connection);
    const system = createClient(guest.System, connection);
    const calls = [task.pids({ id: "c" }), task.state({ id: "c" })];
    const streamed = (async () => {
      let count = 0;
      for await (const _ of system.events({})) count++;
      return count;
    })();
    const settled = await Promise.allSettled([...calls, streamed]);
    await connection.closed;
    assert(stream.closed, "connection stays open");
    return settled.map((one) => {
      if (one.status === "fulfilled") return typeof one.value;
      if (!isRpcError(one.reason)) throw one.reason;
      return String(one.reason.code);
    }).join(" ");
  },
  refuses: () => false,
};

const server: Target = {
  name: "ttrpc-server",
  seeds: REQUESTS,
  words: ["containerd.task.v3.Task", "qemubox.guest.v1.System", "Pids", "Events", "Wait"],
  parse: async (bytes) => {
    const reported: unknown[] = [];
    const services = [
      implement(taskV3.Task, { pids: () => ({}), wait: () => new Promise(() => {}) }),
      implement(guest.System, {
        events: async function* () {
          await null;
          yield {};
        },
      }),
    ];
    const stream = peer(bytes, sizesOf(bytes));
    const hostile = new TtrpcServer(services, { onError: (error) => reported.push(error) });
    await hostile.serve(stream);
    assert(stream.closed, "connection stays open");
    for (const error of reported) if (!isRpcError(error)) throw error;
    const frames = 1 + bytes.length / HEADER_BYTES;
    const written = stream.written().length;
    assert(written <= frames * ANSWER_BYTES_MAX, `${written} bytes for ${bytes.length}`);
    return `${reported.length} ${await messagesOf(stream.written())}`;
  },
  refuses: () => false,
};

fuzz({ ...messages, bytesMax: MIB }, client, server);
