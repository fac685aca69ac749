/** The calling side of TTRPC: one connection, any number of calls at the same time. @module */
import { messageOf } from "../../base/mod.ts";
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

/** What a call does with what comes for it. Neither function may throw. */
export interface Receiver {
  receive(header: Header, payload: Uint8Array): void;
  fail(error: RpcError): void;
}

/** Owns the stream, and closes it. Made into clients by `createClient`. */
export class TtrpcConnection {
  /** Resolves when the connection has ended, whoever ended it; never rejects. */
  readonly closed: Promise<void>;
  readonly #stream: ByteStream;
  readonly #writer: MessageWriter;
  readonly #receivers = new Map<number, Receiver>();
  readonly #ended = Promise.withResolvers<void>();
  #nextStreamId = 1;
  #end: RpcError | null = null;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.#writer = new MessageWriter(stream);
    this.closed = this.#ended.promise;
    this.#run(new MessageReader(stream)).then(
      () => this.close("closed by the peer"),
      (error) => this.close(error),
    );
  }

  /** Idempotent. Calls that are under way, and all later ones, fail with Unavailable. */
  close(reason: unknown = "closed"): void {
    if (this.#end !== null) return;
    const why = `connection: ${messageOf(reason)}`;
    this.#end = new RpcError(Code.Unavailable, why, { cause: reason });
    this.#stream.close();
    for (const receiver of this.#receivers.values()) receiver.fail(this.#end);
    this.#receivers.clear();
    this.#ended.resolve();
  }

  /**
   * Sends a request; for `createClient`. Messages are sent in the order of the calls.
   *
   * @returns the function that drops the receiver; what still comes for it is thrown away
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
      // Nobody there: the call was abandoned before its answer came.
      this.#receivers.get(message.header.streamId)?.receive(message.header, message.payload);
    }
  }
}
