/** Two connected byte streams in memory, for tests. @module */
import type { ByteStream, IoOptions } from "../streams/byte_stream.ts";

// Like a socket buffer: a writer waits if its reader does not keep up.
const CAPACITY_BYTES = 64 * 1024;

/**
 * Returns the two ends of a connection. After one is closed, the other reads what was written, then
 * null.
 */
export function memoryPair(): [ByteStream, ByteStream] {
  const [there, back] = [new Pipe(), new Pipe()];
  return [new End(back, there), new End(there, back)];
}

class End implements ByteStream {
  readonly #input: Pipe;
  readonly #output: Pipe;

  constructor(input: Pipe, output: Pipe) {
    this.#input = input;
    this.#output = output;
  }

  read(into: Uint8Array, options?: IoOptions): Promise<number | null> {
    return this.#input.read(into, options?.signal);
  }

  write(data: Uint8Array, options?: IoOptions): Promise<void> {
    return this.#output.write(data, options?.signal);
  }

  close(): void {
    this.#input.closeReader();
    this.#output.closeWriter();
  }
}

/** One direction. */
class Pipe {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #readerClosed = false;
  #writerClosed = false;
  /** Resolved and replaced at each change of state. */
  #change = Promise.withResolvers<void>();

  async read(into: Uint8Array, signal?: AbortSignal): Promise<number | null> {
    while (this.#bytes === 0 || this.#readerClosed) {
      if (this.#readerClosed || this.#writerClosed) return null;
      await this.#changed(signal);
    }
    let filled = 0;
    while (filled < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const taken = chunk.subarray(0, into.length - filled);
      into.set(taken, filled);
      filled += taken.length;
      if (taken.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(taken.length);
    }
    this.#bytes -= filled;
    this.#notify();
    return filled;
  }

  async write(data: Uint8Array, signal?: AbortSignal): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      if (this.#writerClosed || this.#readerClosed) throw new BrokenPipe();
      const room = CAPACITY_BYTES - this.#bytes;
      if (room === 0) {
        await this.#changed(signal);
        continue;
      }
      const taken = rest.slice(0, room);
      this.#chunks.push(taken);
      this.#bytes += taken.length;
      rest = rest.subarray(taken.length);
      this.#notify();
    }
  }

  closeReader(): void {
    this.#readerClosed = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#notify();
  }

  closeWriter(): void {
    this.#writerClosed = true;
    this.#notify();
  }

  #notify(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  async #changed(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return await this.#change.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([this.#change.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }
}

/** Error of a write to a closed connection, with the `code` of a system call. */
class BrokenPipe extends Error {
  readonly code = "EPIPE";

  constructor() {
    super("connection is closed");
  }
}
