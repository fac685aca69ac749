/** One connection of a server, with concurrent calls. @module */
import { messageOf, printable } from "../../base/mod.ts";
import { create, fromBinary, toBinary } from "../schema/mod.ts";
import type { ByteStream } from "../streams/byte_stream.ts";
import { type Request, RequestSchema, ResponseSchema } from "../gen/ttrpc/request_schema.ts";
import { Code, RpcError, statusOf } from "../rpc_error.ts";
import {
  Flag,
  type Message,
  MessageReader,
  MessageType,
  MessageWriter,
  tooLong,
} from "./message.ts";
import { type Answer, ServerCall } from "./server_call.ts";
import type { MethodBinding, ServiceBinding } from "./service.ts";

/** Limit of the calls of a connection. Further ones fail with ResourceExhausted. */
export const CONCURRENT_CALLS_MAX = 1024;

/** Limit of the name of an unknown service or method in its error. */
const NAME_CHARACTERS_MAX = 256;
const NOTHING = new Uint8Array(0);

export class ServerConnection {
  readonly #stream: ByteStream;
  readonly #services: ReadonlyMap<string, ServiceBinding>;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #reader: MessageReader;
  readonly #writer: MessageWriter;
  /** Calls that are not answered yet, by stream id. */
  readonly #calls = new Map<number, ServerCall>();
  /** Number of methods that have not returned, which may be long after their call was answered. */
  #running = 0;
  #lastStreamId = 0;
  #closed = false;

  constructor(
    stream: ByteStream,
    services: ReadonlyMap<string, ServiceBinding>,
    onError: (error: unknown, where: string) => void,
  ) {
    this.#stream = stream;
    this.#services = services;
    this.#onError = onError;
    this.#reader = new MessageReader(stream);
    this.#writer = new MessageWriter(stream);
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#reader.next();
        if (message === null) return;
        await this.#receive(message);
      }
    } catch (error) {
      this.#report(error, "connection");
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
    for (const call of this.#calls.values()) {
      call.fail(new RpcError(Code.Canceled, "connection closed"));
    }
    this.#calls.clear();
  }

  // Awaits the sending of errors, so that a peer that sends garbage and reads nothing blocks
  // itself.
  async #receive(message: Message): Promise<void> {
    const { streamId, type, flags, length } = message.header;
    const call = this.#calls.get(streamId);
    try {
      if (message.payload === null) {
        await this.#reader.discard(length);
        throw tooLong(length);
      }
      if (streamId % 2 !== 1) throw invalid("stream id must be odd for client initiated streams");
      if (type === MessageType.Request) this.#start(streamId, message.payload);
      else if (type === MessageType.Data) assertNoData(call, flags);
      // Any other type belongs to a later version of the protocol.
    } catch (thrown) {
      if (!(thrown instanceof RpcError)) throw thrown;
      if (call !== undefined) call.fail(thrown);
      else await this.#write(streamId, { error: thrown });
    }
  }

  #start(streamId: number, payload: Uint8Array): void {
    if (streamId <= this.#lastStreamId) {
      throw invalid("stream id cannot be re-used and must increment");
    }
    this.#lastStreamId = streamId;
    const request = decode(payload);
    const method = this.#find(request);
    if (this.#running >= CONCURRENT_CALLS_MAX) {
      const limit = `more than ${CONCURRENT_CALLS_MAX} concurrent calls`;
      throw new RpcError(Code.ResourceExhausted, limit);
    }
    const call = new ServerCall(method, request, {
      answer: (answer) => this.#write(streamId, answer),
      report: (error, where) => this.#report(error, where),
    });
    this.#calls.set(streamId, call);
    this.#running++;
    call.answered.then(() => this.#calls.delete(streamId));
    call.returned.then(() => this.#running--);
    call.start();
  }

  #find(request: Request): MethodBinding {
    const service = this.#services.get(request.service);
    if (service === undefined) {
      const name = printable(request.service, NAME_CHARACTERS_MAX);
      throw new RpcError(Code.Unimplemented, `service ${name} is not implemented`);
    }
    const method = service.methods.get(request.method);
    if (method === undefined) {
      const name = printable(`${request.service}/${request.method}`, NAME_CHARACTERS_MAX);
      throw new RpcError(Code.Unimplemented, `method ${name} is not implemented`);
    }
    return method;
  }

  /** @throws {RpcError} ResourceExhausted if it is too long. Other errors close the connection. */
  async #write(streamId: number, answer: Answer): Promise<void> {
    if (this.#closed) return;
    const [type, flags, payload] = frame(answer);
    try {
      await this.#writer.write(streamId, type, flags, payload);
    } catch (error) {
      if (error instanceof RpcError && error.code === Code.ResourceExhausted) throw error;
      this.#report(error, "connection");
      this.close();
    }
  }

  #report(error: unknown, where: string): void {
    // A peer that hangs up is normal, and so are errors of a closed connection.
    if (where === "connection" && (this.#closed || isHangUp(error))) return;
    this.#onError(error, where);
  }
}

function frame(answer: Answer): [type: number, flags: number, payload: Uint8Array] {
  if ("end" in answer) return [MessageType.Data, Flag.RemoteClosed | Flag.NoData, NOTHING];
  if ("data" in answer) return [MessageType.Data, 0, answer.data];
  const response = "error" in answer
    ? { status: statusOf(answer.error) }
    : { payload: answer.response };
  return [MessageType.Response, 0, toBinary(ResponseSchema, create(ResponseSchema, response))];
}

function decode(payload: Uint8Array): Request {
  try {
    return fromBinary(RequestSchema, payload);
  } catch (error) {
    throw invalid(`request cannot be decoded: ${messageOf(error)}`);
  }
}

/** No method here takes a stream, but a caller that left its side open may close it later. */
function assertNoData(call: ServerCall | undefined, flags: number): void {
  if (call === undefined) throw invalid("stream id is no longer active");
  if ((flags & Flag.NoData) === 0) throw invalid("method takes no stream of data");
}

function isHangUp(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "EPIPE" || code === "ECONNRESET";
}

function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}
