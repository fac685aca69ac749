/**
 * What the two halves of the lab's relay say to each other, over one port that carries bytes both
 * ways: frames of a type (1 byte), a length (4 bytes, big endian) and as many bytes.
 */

import { MIB } from "../../base/mod.ts";

/** To the lab: START, then STDIN until an empty one. To the host: OUT and ERR, then EXIT. */
export const FRAME = { START: 1, STDIN: 2, STDOUT: 3, STDERR: 4, EXIT: 5 } as const;
export type FrameType = typeof FRAME[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  readonly data: Uint8Array;
}

/** What START carries, as JSON. */
export interface StartMessage {
  readonly command: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** More than a command line and an environment take together, and than a pipe gives at once. */
export const FRAME_BYTES_MAX = 4 * MIB;
const HEADER_BYTES = 5;

/** @throws {RangeError} for more bytes than a frame holds */
export function encodeFrame(type: FrameType, data: Uint8Array): Uint8Array<ArrayBuffer> {
  if (data.length > FRAME_BYTES_MAX) throw new RangeError(`${data.length} bytes are too many`);
  const frame = new Uint8Array(HEADER_BYTES + data.length);
  frame[0] = type;
  new DataView(frame.buffer).setUint32(1, data.length);
  frame.set(data, HEADER_BYTES);
  return frame;
}

/** Where bytes come from; as Deno.FsFile and Deno.Conn, null is the end. */
export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/**
 * The frames of a stream, to its end.
 * @throws {Error} for a frame that is none, or that the end cuts short
 */
export async function* readFrames(source: ByteSource): AsyncGenerator<Frame> {
  const header = new Uint8Array(HEADER_BYTES);
  while (await fill(source, header)) {
    const type = header[0]!;
    const length = new DataView(header.buffer).getUint32(1);
    if (!Object.values<number>(FRAME).includes(type) || length > FRAME_BYTES_MAX) {
      throw new Error(`no frame of the lab's relay: type ${type}, ${length} bytes`);
    }
    const data = new Uint8Array(length);
    if (length > 0 && !(await fill(source, data))) throw new Error(CUT_SHORT);
    yield { type: type as FrameType, data };
  }
}

const CUT_SHORT = "the lab's relay ended within a frame";

/** @returns false when the stream ends before the first byte */
async function fill(source: ByteSource, into: Uint8Array): Promise<boolean> {
  for (let at = 0; at < into.length;) {
    const count = await source.read(into.subarray(at));
    if (count === null || count === 0) {
      if (at === 0) return false;
      throw new Error(CUT_SHORT);
    }
    at += count;
  }
  return true;
}

/** Writes frames one after the other, each whole, whoever asks. */
export class FrameWriter {
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly sink: { write(data: Uint8Array): Promise<number> }) {}

  /** Resolves when the frame is written. */
  write(type: FrameType, data: Uint8Array = new Uint8Array()): Promise<void> {
    return this.#last = this.#last.then(async () => {
      const frame = encodeFrame(type, data);
      for (let at = 0; at < frame.length;) at += await this.sink.write(frame.subarray(at));
    });
  }

  /** Writes each piece of a stream as a frame, to its end. */
  async writeAll(type: FrameType, stream: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const data of stream) if (data.length > 0) await this.write(type, data);
  }
}
