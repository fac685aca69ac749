/** Clients with the types of their services. @module */
import { messageOf } from "../../base/mod.ts";
import {
  type AnyMessageSchema,
  create,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  type MethodSchema,
  toBinary,
} from "../schema/mod.ts";
import { ResponseSchema } from "../gen/ttrpc/request_schema.ts";
import type { RequestSchema } from "../gen/ttrpc/request_schema.ts";
import { Code, errorOf, RpcError, rpcErrorFrom } from "../rpc_error.ts";
import type { TtrpcConnection } from "./connection.ts";
import { callDeadline, deadlineExceeded } from "./deadline.ts";
import { Flag, type Header, MessageType } from "./message.ts";
import { pairsOf } from "./metadata.ts";
import { ResponseStream } from "./response_stream.ts";
import type { AnyService, MethodsOf } from "./service.ts";

/**
 * One function per method. Unary ones reject with an RpcError. Streaming ones send their request at
 * once and throw an RpcError from the iteration; leaving the loop abandons the call. Unread
 * responses queue up to a limit, beyond which the stream fails with ResourceExhausted.
 */
export type Client<S extends AnyService> = {
  [K in keyof MethodsOf<S>]: MethodCall<MethodsOf<S>[K]>;
};

/** Returns a client of a service on a connection. */
export function createClient<S extends AnyService>(
  service: S,
  connection: TtrpcConnection,
): Client<S> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    if (method.methodKind === "unary") {
      client[method.localName] = (request: never, options?: CallOptions) =>
        unary(connection, method, request, options ?? {});
    } else if (method.methodKind === "server_streaming") {
      client[method.localName] = (request: never, options?: CallOptions) =>
        serverStream(connection, method, request, options ?? {});
    }
  }
  return client as Client<S>;
}

/** Options of one call. */
export interface CallOptions {
  /** Abandons the call. The server is not told, because TTRPC has no message for it. */
  signal?: AbortSignal;
  /** Time until the call fails with DeadlineExceeded. The server gets it, too. */
  timeoutMs?: number;
  metadata?: ReadonlyMap<string, readonly string[]>;
}

type MethodCall<M> = M extends {
  methodKind: "unary";
  input: infer I extends AnyMessageSchema;
  output: infer O extends AnyMessageSchema;
} ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
  : M extends {
    methodKind: "server_streaming";
    input: infer I extends AnyMessageSchema;
    output: infer O extends AnyMessageSchema;
  } ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
  : never;

async function unary(
  connection: TtrpcConnection,
  method: MethodSchema,
  request: MessageInitShape<AnyMessageSchema>,
  options: CallOptions,
): Promise<MessageShape<AnyMessageSchema>> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const receive = (header: Header, payload: Uint8Array) => {
    if (header.type === MessageType.Response) resolve(payload);
    else {reject(
        new RpcError(Code.Internal, `expected a response, got a message of type ${header.type}`),
      );}
  };
  const stopWatching = watch(options, reject);
  let drop = () => {};
  try {
    assertWanted(options);
    drop = connection.open(envelope(method, request, options), 0, { receive, fail: reject });
    return decodeResponse(method, await promise) ?? create(method.output);
  } finally {
    drop();
    stopWatching();
  }
}

function serverStream(
  connection: TtrpcConnection,
  method: MethodSchema,
  request: MessageInitShape<AnyMessageSchema>,
  options: CallOptions,
): AsyncIterable<MessageShape<AnyMessageSchema>> {
  const stream: ResponseStream<MessageShape<AnyMessageSchema>> = new ResponseStream({
    data: (payload) => decode(method.output, payload),
    response: (payload) => decodeResponse(method, payload),
  });
  try {
    assertWanted(options);
    const opened = envelope(method, request, options);
    stream.onEnd(connection.open(opened, Flag.RemoteClosed, stream));
    stream.onEnd(watch(options, (error) => stream.fail(error)));
  } catch (error) {
    stream.fail(rpcErrorFrom(error));
  }
  return stream;
}

function envelope(
  method: MethodSchema,
  request: MessageInitShape<AnyMessageSchema>,
  options: CallOptions,
): MessageInitShape<typeof RequestSchema> {
  const timeoutMs = options.timeoutMs ?? Infinity;
  return {
    service: method.service,
    method: method.name,
    payload: toBinary(method.input, create(method.input, request)),
    timeoutNano: Number.isFinite(timeoutMs) ? BigInt(Math.ceil(timeoutMs * 1e6)) : 0n,
    metadata: options.metadata === undefined ? [] : pairsOf(options.metadata),
  };
}

/**
 * Returns the message of a response, or null if it is empty. @throws {RpcError} the server's error.
 */
function decodeResponse(
  method: MethodSchema,
  payload: Uint8Array,
): MessageShape<AnyMessageSchema> | null {
  const response = decode(ResponseSchema, payload);
  const error = errorOf(response.status);
  if (error !== null) throw error;
  return response.payload.length === 0 ? null : decode(method.output, response.payload);
}

function decode<D extends AnyMessageSchema>(schema: D, payload: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    const why = `${schema.typeName} cannot be decoded: ${messageOf(error)}`;
    throw new RpcError(Code.Internal, why);
  }
}

function assertWanted(options: CallOptions): void {
  if (options.signal?.aborted) throw canceled(options.signal.reason);
  if ((options.timeoutMs ?? 1) <= 0) throw deadlineExceeded();
}

/** Calls `over` at the deadline, or if the signal aborts. @returns a function that stops it. */
function watch(options: CallOptions, over: (error: RpcError) => void): () => void {
  const { signal, timeoutMs } = options;
  const abort = () => over(canceled(signal?.reason));
  signal?.addEventListener("abort", abort, { once: true });
  const deadline = timeoutMs === undefined ? undefined : callDeadline(timeoutMs, over);
  return () => {
    signal?.removeEventListener("abort", abort);
    deadline?.[Symbol.dispose]();
  };
}

function canceled(reason: unknown): RpcError {
  const error = rpcErrorFrom(reason);
  if (error.code !== Code.Unknown || reason instanceof RpcError) return error;
  return new RpcError(Code.Canceled, error.message, { cause: reason });
}
