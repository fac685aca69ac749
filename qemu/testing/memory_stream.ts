/** One end of a stream in memory; the test is the peer. */
export class MemoryStream {
  readonly written: string[] = [];
  closed = false;
  /** Called with the text of each write. */
  onWrite: (text: string) => void = () => {};
  #chunks: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | null = null;

  /** Gives bytes to the reader. */
  give(data: string | Uint8Array): void {
    this.#chunks.push(typeof data === "string" ? new TextEncoder().encode(data) : data);
    this.#wake?.();
  }

  /** Closes the peer's end. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Resolves with the number of bytes read, or null at the end. */
  async read(into: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<number | null> {
    const { signal } = options;
    for (;;) {
      signal?.throwIfAborted();
      const chunk = this.#chunks.shift();
      if (chunk !== undefined && chunk.length > 0) {
        const count = Math.min(chunk.length, into.length);
        into.set(chunk.subarray(0, count));
        if (count < chunk.length) this.#chunks.unshift(chunk.subarray(count));
        return count;
      }
      if (chunk !== undefined) continue;
      if (this.#ended || this.closed) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
      this.#wake = null;
    }
  }

  /** Records a write of the stream's user. */
  write(data: Uint8Array): Promise<void> {
    const text = new TextDecoder().decode(data);
    this.written.push(text);
    this.onWrite(text);
    return Promise.resolve();
  }

  /** Closes the user's end. */
  close(): void {
    this.closed = true;
    this.#wake?.();
  }

  /** Closes the peer's end and returns everything that is left to read. */
  async rest(): Promise<string> {
    this.end();
    const into = new Uint8Array(4096);
    let text = "";
    for (let count = await this.read(into); count !== null; count = await this.read(into)) {
      text += new TextDecoder().decode(into.subarray(0, count));
    }
    return text;
  }
}
