/** The client side of TTRPC: one connection with any number of concurrent calls. @module */
import { delay, messageOf } from "../../base/mod.ts";
import { create, type MessageInitShape, toBinary } from "../schema/mod.ts";
import type { ByteStream } from "../streams/byte_stream.ts";
import { RequestSchema } from "../gen/ttrpc/request_schema.ts";
import { Code, RpcError } from "../rpc_error.ts";
import {
  assertMessageLength,
  type Header,
  MessageReader,
  MessageType,
  MessageWriter,
  tooLong,
} from "./message.ts";

const STREAM_ID_MAX = 0xffff_ffff;

/** A connection for `createClient`. Owns the stream, and closes it. */
export class TtrpcConnection {
  /** Resolves when either side has closed the connection; never rejects. */
  readonly closed: Promise<void>;
  readonly #stream: ByteStream;
  readonly #writer: MessageWriter;
  readonly #receivers = new Map<number, Receiver>();
  readonly #paceMs: PaceMs;
  readonly #closing = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #nextStreamId = 1;
  #end: RpcError | null = null;

  /** @param paceMs bounds the rate of a peer that is not trusted; default: no bound. */
  constructor(
    stream: ByteStream,
    { paceMs = () => 0 }: { readonly paceMs?: PaceMs } = {},
  ) {
    this.#stream = stream;
    this.#paceMs = paceMs;
    this.#writer = new MessageWriter(stream);
    this.closed = this.#ended.promise;
    this.#run(new MessageReader(stream)).then(
      () => this.close("closed by the peer"),
      (error) => this.close(error),
    );
  }

  /** Closes the connection. Pending and later calls fail with Unavailable. Idempotent. */
  close(reason: unknown = "closed"): void {
    if (this.#end !== null) return;
    const why = `connection: ${messageOf(reason)}`;
    this.#end = new RpcError(Code.Unavailable, why, { cause: reason });
    this.#closing.abort();
    this.#stream.close();
    for (const receiver of this.#receivers.values()) receiver.fail(this.#end);
    this.#receivers.clear();
    this.#ended.resolve();
  }

  /**
   * Sends a request, for `createClient`. Messages are sent in the order of the calls.
   *
   * @returns a function that removes the receiver; later messages for it are dropped
   * @throws {RpcError} Unavailable if the connection is closed; ResourceExhausted if the request is
   *   over the limit
   */
  open(
    request: MessageInitShape<typeof RequestSchema>,
    flags: number,
    receiver: Receiver,
  ): () => void {
    if (this.#end !== null) throw this.#end;
    const payload = toBinary(RequestSchema, create(RequestSchema, request));
    assertMessageLength(payload.length);
    const streamId = this.#nextStreamId;
    if (streamId > STREAM_ID_MAX) {
      this.close("out of stream ids");
      throw this.#end;
    }
    this.#nextStreamId += 2;
    this.#receivers.set(streamId, receiver);
    this.#writer.write(streamId, MessageType.Request, flags, payload)
      .catch((error) => this.close(error));
    return () => this.#receivers.delete(streamId);
  }

  async #run(reader: MessageReader): Promise<void> {
    for (;;) {
      const message = await reader.next();
      if (message === null) return;
      if (message.payload === null) throw tooLong(message.header.length);
      const { header, payload } = message;
      const isAsked = header.type === MessageType.Response && this.#receivers.has(header.streamId);
      const waitMs = this.#paceMs(isAsked ? 0 : payload.length);
      if (waitMs > 0) await delay(waitMs, this.#closing.signal);
      // Without a receiver the call was abandoned before its answer came.
      this.#receivers.get(header.streamId)?.receive(header, payload);
    }
  }
}

/**
 * Called for each message of the peer. Returns how long to wait before reading on, in milliseconds:
 * meanwhile the peer's messages wait in the stream.
 *
 * @param unaskedBytes length of the message, 0 for the one answer to a call.
 */
export type PaceMs = (unaskedBytes: number) => number;

/** Receives the messages of a call. Neither function may throw. */
export interface Receiver {
  receive(header: Header, payload: Uint8Array): void;
  fail(error: RpcError): void;
}
