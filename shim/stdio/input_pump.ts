import type { FrameWriter } from "../../proto/mod.ts";

/** The side of stdin that containerd's client writes to. */
export interface InputSource {
  read(into: Uint8Array, options?: { signal?: AbortSignal }): Promise<number | null>;
  /** Reads what is there already; null when there is nothing. */
  readNow(into: Uint8Array): number | null;
  close(): void;
}

const CHUNK_BYTES = 64 * 1024;

/**
 * Copies stdin into the guest until CloseIO. What was written before CloseIO goes first: the end
 * of input travels in-band after it.
 */
export class InputPump {
  /** Why input could not be read, and was lost; null at any other end. Never rejects. */
  readonly ended: Promise<Error | null>;
  readonly #closing = new AbortController();
  readonly #stop = new AbortController();
  readonly #close: () => void;

  /** @param close ends the guest's side of the stream, and with it a write that is under way. */
  constructor(source: InputSource, writer: Pick<FrameWriter, "write" | "end">, close: () => void) {
    this.#close = close;
    this.ended = this.#run(source, writer).finally(() => {
      source.close();
      close();
    });
  }

  /** CloseIO: the container sees the end of its input after all that was written before. */
  closeInput(): void {
    this.#closing.abort();
  }

  /** The process has ended; nothing more can be delivered. */
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
        // The container closed its stdin, or is gone: the client learns it by a broken pipe.
        return null;
      }
      if (count === null) return null;
    }
  }

  /** The next bytes; null when CloseIO was called and nothing is left. */
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
