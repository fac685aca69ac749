import { type ByteStream, type IoOptions } from "../proto/mod.ts";

/**
 * Most bytes that go to the kernel at once. Linux puts what is above 32 KiB into packets of several
 * fragments, and vhost-device-vsock 0.3.0 stops serving a connection at the first one of these:
 * nothing of it arrives, and nothing after it.
 */
export const WRITE_BYTES_MAX = 28_672;

/** A vsock connection as every vhost-user device takes it: big writes go out in pieces. */
export class VsockStream implements ByteStream {
  readonly #stream: ByteStream;
  /** The end of the write before: the pieces of two writes must not mix. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  read(into: Uint8Array, options?: IoOptions): Promise<number | null> {
    return this.#stream.read(into, options);
  }

  write(data: Uint8Array, options?: IoOptions): Promise<void> {
    const written = this.#turn.then(() => this.#writePieces(data, options));
    this.#turn = written.catch(() => {}); // the next write finds out itself
    return written;
  }

  close(): void {
    this.#stream.close();
  }

  async #writePieces(data: Uint8Array, options?: IoOptions): Promise<void> {
    for (let start = 0; start < data.length; start += WRITE_BYTES_MAX) {
      await this.#stream.write(data.subarray(start, start + WRITE_BYTES_MAX), options);
    }
  }
}
