/** Finds a text in a byte stream, wherever the chunks are split. */
export class MarkerScanner {
  readonly #marker: Uint8Array;
  #tail: Uint8Array = new Uint8Array();
  #found = false;

  /** @throws RangeError for an empty marker. */
  constructor(marker: string) {
    this.#marker = new TextEncoder().encode(marker);
    if (this.#marker.length === 0) throw new RangeError("marker is empty");
  }

  /** Returns whether the marker has been seen, in `chunk` or before. */
  push(chunk: Uint8Array): boolean {
    if (this.#found) return true;
    const text = new Uint8Array(this.#tail.length + chunk.length);
    text.set(this.#tail);
    text.set(chunk, this.#tail.length);
    this.#found = indexOf(text, this.#marker) !== -1;
    this.#tail = text.slice(Math.max(0, text.length - this.#marker.length + 1));
    return this.#found;
  }
}

function indexOf(text: Uint8Array, part: Uint8Array): number {
  const first = part[0]!;
  for (let at = text.indexOf(first); at !== -1; at = text.indexOf(first, at + 1)) {
    if (at + part.length > text.length) return -1;
    if (part.every((byte, index) => text[at + index] === byte)) return at;
  }
  return -1;
}
