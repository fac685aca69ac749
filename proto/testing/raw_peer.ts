import { create, fromBinary, type MessageInitShape, toBinary } from "../schema/mod.ts";
import type { ByteStream } from "../streams/byte_stream.ts";
import { RequestSchema, type Response, ResponseSchema } from "../gen/ttrpc/request_schema.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  type Message,
  MessageReader,
  MessageType,
} from "../ttrpc/message.ts";

/** A TTRPC peer that sends any messages, for tests. */
export class RawPeer {
  readonly stream: ByteStream;
  readonly #reader: MessageReader;

  constructor(stream: ByteStream) {
    this.stream = stream;
    this.#reader = new MessageReader(stream);
  }

  next(): Promise<Message | null> {
    return this.#reader.next();
  }

  /** Reads the next message, which must be a response. */
  async response(): Promise<{ streamId: number; response: Response }> {
    const message = await this.next();
    if (message?.header.type !== MessageType.Response) {
      throw new Error(`message is not a response: ${Deno.inspect(message)}`);
    }
    const response = fromBinary(ResponseSchema, message.payload!);
    return { streamId: message.header.streamId, response };
  }

  async header(length: number, streamId: number, type: number, flags = 0): Promise<void> {
    const bytes = new Uint8Array(HEADER_BYTES);
    encodeHeader({ length, streamId, type, flags }, bytes);
    await this.stream.write(bytes);
  }

  async send(streamId: number, type: number, flags: number, payload: Uint8Array): Promise<void> {
    await this.header(payload.length, streamId, type, flags);
    await this.stream.write(payload);
  }

  async request(
    streamId: number,
    request: MessageInitShape<typeof RequestSchema>,
    flags = 0,
  ): Promise<void> {
    const payload = toBinary(RequestSchema, create(RequestSchema, request));
    await this.send(streamId, MessageType.Request, flags, payload);
  }

  async respond(
    streamId: number,
    response: MessageInitShape<typeof ResponseSchema>,
  ): Promise<void> {
    const payload = toBinary(ResponseSchema, create(ResponseSchema, response));
    await this.send(streamId, MessageType.Response, 0, payload);
  }
}
