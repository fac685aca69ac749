/**
 * The protocol between the two halves of the lab's relay, over one port that carries bytes both
 * ways: frames of a type (1 byte), a length (4 bytes, big endian) and that many bytes.
 */

import { MIB } from "../../base/mod.ts";

/** To the lab: START, then STDIN until an empty one. To the host: STDOUT, STDERR, then EXIT. */
export const FRAME = { START: 1, STDIN: 2, STDOUT: 3, STDERR: 4, EXIT: 5 } as const;
export type FrameType = typeof FRAME[keyof typeof FRAME];

export interface Frame {
  readonly type: FrameType;
  readonly data: Uint8Array;
}

/** Content of START, as JSON. */
export interface StartMessage {
  readonly command: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** More than a command line with its environment, and more than one read of a pipe. */
export const FRAME_BYTES_MAX = 4 * MIB;
const HEADER_BYTES = 5;

/** @throws {RangeError} for more than FRAME_BYTES_MAX bytes */
export function encodeFrame(type: FrameType, data: Uint8Array): Uint8Array<ArrayBuffer> {
  if (data.length > FRAME_BYTES_MAX) {
    throw new RangeError(`frame of ${data.length} bytes exceeds ${FRAME_BYTES_MAX}`);
  }
  const frame = new Uint8Array(HEADER_BYTES + data.length);
  frame[0] = type;
  new DataView(frame.buffer).setUint32(1, data.length);
  frame.set(data, HEADER_BYTES);
  return frame;
}

/** A source of bytes like Deno.FsFile and Deno.Conn: `read` returns null at the end. */
export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/**
 * Yields the frames of a stream until its end.
 *
 * @throws {Error} for an invalid frame, or one that the end truncates
 */
export async function* readFrames(source: ByteSource): AsyncGenerator<Frame> {
  const header = new Uint8Array(HEADER_BYTES);
  while (await fill(source, header)) {
    const type = header[0]!;
    const length = new DataView(header.buffer).getUint32(1);
    if (!Object.values<number>(FRAME).includes(type) || length > FRAME_BYTES_MAX) {
      throw new Error(`invalid frame of the lab's relay: type ${type}, ${length} bytes`);
    }
    const data = new Uint8Array(length);
    if (length > 0 && !(await fill(source, data))) throw new Error(TRUNCATED);
    yield { type: type as FrameType, data };
  }
}

const TRUNCATED = "stream of the lab's relay ended within a frame";

/**
 * Fills `into` from the source.
 *
 * @returns false when the stream ends before the first byte
 * @throws {Error} when it ends after the first byte
 */
async function fill(source: ByteSource, into: Uint8Array): Promise<boolean> {
  for (let at = 0; at < into.length;) {
    const count = await source.read(into.subarray(at));
    if (count === null || count === 0) {
      if (at === 0) return false;
      throw new Error(TRUNCATED);
    }
    at += count;
  }
  return true;
}

/** Writes frames one after the other, complete even with several callers. */
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

  /** Writes each chunk of a stream as a frame, until its end. */
  async writeAll(type: FrameType, stream: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const data of stream) if (data.length > 0) await this.write(type, data);
  }
}
