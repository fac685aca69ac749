/** The queued responses of a server-streaming call. @module */
import { MIB } from "../../base/mod.ts";
import { Code, RpcError, rpcErrorFrom } from "../rpc_error.ts";
import type { Receiver } from "./connection.ts";
import { Flag, type Header, MessageType } from "./message.ts";

// A stream whose reader falls behind fails. Waiting for it would block all other calls on the
// connection, because TTRPC has no flow control, and a guest must not fill the host's memory.
const QUEUE_MESSAGES_MAX = 1024;
const QUEUE_BYTES_MAX = 8 * MIB;

/** An iterator for one reader: `next` must not be called again before it has settled. */
export class ResponseStream<T> implements Receiver, AsyncIterableIterator<T> {
  readonly #decoders: Decoders<T>;
  readonly #queue: { header: Header; payload: Uint8Array }[] = [];
  #queuedBytes = 0;
  /** Set when nothing more will be queued. The error, if any, is thrown after the queue. */
  #end: { error: RpcError | null } | null = null;
  #cleanups: (() => void)[] = [];
  #wake = () => {};

  constructor(decoders: Decoders<T>) {
    this.#decoders = decoders;
  }

  /** Registers a function to call once, when nothing more is expected from the server. */
  onEnd(cleanup: () => void): void {
    if (this.#end !== null) cleanup();
    else this.#cleanups.push(cleanup);
  }

  receive(header: Header, payload: Uint8Array): void {
    if (this.#end !== null) return;
    if ((header.flags & Flag.NoData) === 0 || header.type === MessageType.Response) {
      this.#queuedBytes += payload.length;
      if (this.#queue.length >= QUEUE_MESSAGES_MAX || this.#queuedBytes > QUEUE_BYTES_MAX) {
        this.fail(new RpcError(Code.ResourceExhausted, "stream is full, its reader is too slow"));
        return;
      }
      this.#queue.push({ header, payload });
    }
    const last = header.type !== MessageType.Data || (header.flags & Flag.RemoteClosed) !== 0;
    if (last) this.#finish(null);
    this.#wake();
  }

  fail(error: RpcError): void {
    this.#finish(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        const value = this.#decode(message);
        if (value !== null) return { done: false, value };
      } else if (this.#end !== null) {
        const { error } = this.#end;
        this.#end = { error: null };
        if (error !== null) throw error;
        return { done: true, value: undefined };
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    }
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#queue.length = 0;
    this.#finish(null);
    return Promise.resolve({ done: true, value: undefined });
  }

  #decode({ header, payload }: { header: Header; payload: Uint8Array }): T | null {
    this.#queuedBytes -= payload.length;
    try {
      if (header.type === MessageType.Data) return this.#decoders.data(payload);
      if (header.type === MessageType.Response) return this.#decoders.response(payload);
      throw new RpcError(Code.Internal, `message of type ${header.type} on a stream`);
    } catch (error) {
      this.#queue.length = 0;
      this.#finish(null);
      this.#end = { error: null };
      throw rpcErrorFrom(error);
    }
  }

  #finish(error: RpcError | null): void {
    if (this.#end !== null) return;
    this.#end = { error };
    for (const cleanup of this.#cleanups) cleanup();
    this.#cleanups = [];
    this.#wake();
  }
}

/** Decode payloads. Either may throw an RpcError, which ends the stream. */
interface Decoders<T> {
  data(payload: Uint8Array): T;
  /** Returns null if the response is empty. */
  response(payload: Uint8Array): T | null;
}
