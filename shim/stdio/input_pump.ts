import type { FrameWriter } from "../../proto/mod.ts";

/**
 * Copies stdin into the guest until CloseIO. Bytes written before CloseIO go first: the end of
 * input travels in-band after them.
 */
export class InputPump {
  /** Resolves with the error that lost input, or with null at any other end. Never rejects. */
  readonly ended: Promise<Error | null>;
  readonly #closing = new AbortController();
  readonly #stop = new AbortController();
  readonly #close: () => void;

  /** @param close closes the stream to the guest, which ends a pending write. */
  constructor(source: InputSource, writer: Pick<FrameWriter, "write" | "end">, close: () => void) {
    this.#close = close;
    this.ended = this.#run(source, writer).finally(() => {
      source.close();
      close();
    });
  }

  /** CloseIO: the container sees the end of its input after everything written before. */
  closeInput(): void {
    this.#closing.abort();
  }

  /** Stops copying, since the process has exited. */
  stop(): void {
    this.#stop.abort();
    this.#closing.abort();
    this.#close();
  }

  async #run(
    source: InputSource,
    writer: Pick<FrameWriter, "write" | "end">,
  ): Promise<Error | null> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      let count: number | null;
      try {
        count = await this.#next(source, buffer);
      } catch (error) {
        return this.#stop.signal.aborted ? null : error as Error;
      }
      if (this.#stop.signal.aborted) return null;
      try {
        if (count !== null) await writer.write(buffer.subarray(0, count));
        else await writer.end();
      } catch {
        // The container closed its stdin or exited: the client gets a broken pipe.
        return null;
      }
      if (count === null) return null;
    }
  }

  /** Returns the next bytes, or null if CloseIO was called and nothing is left. */
  async #next(source: InputSource, buffer: Uint8Array): Promise<number | null> {
    const { signal } = this.#closing;
    if (!signal.aborted) {
      try {
        return await source.read(buffer, { signal });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    return this.#stop.signal.aborted ? null : source.readNow(buffer);
  }
}

/** Stdin as containerd's client writes it. */
export interface InputSource {
  read(into: Uint8Array, options?: { signal?: AbortSignal }): Promise<number | null>;
  /** Reads without waiting; returns null if there is nothing to read. */
  readNow(into: Uint8Array): number | null;
  close(): void;
}

const CHUNK_BYTES = 64 * 1024;
