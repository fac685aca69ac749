/** Streams that deliver an input, for targets. */

import type { ByteStream } from "../../proto/mod.ts";
import { sink, streamOf } from "../../proto/testing/test_streams.ts";

/** A stream that delivers an input in pieces and ends, and keeps what is written to it. */
export interface Peer extends ByteStream {
  readonly closed: boolean;
  /** All that was written. */
  readonly written: () => Uint8Array;
}

/** @param sizes of the pieces, used in turn. */
export function peer(bytes: Uint8Array, sizes: readonly number[] = [bytes.length]): Peer {
  const source = streamOf(bytes, sizes);
  const collected = sink();
  return {
    get closed() {
      return source.closed;
    },
    read: (into, options) => source.read(into, options),
    write: (data, options) => collected.write(data, options),
    close: () => source.close(),
    written: collected.bytes,
  };
}
