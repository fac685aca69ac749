/** How much of a line is kept for messages. */
const LINE_BYTES_MAX = 512;
const NEWLINE = 0x0a;
/** As stage 0 (build/initrd/init) and vminitd say it. */
const REASON = /^qemubox: (stage 0 failed|vminitd died): /;

/**
 * Keeps the line of a byte stream that says most about its end, whatever the stream's length: the
 * first in which PID 1 says why it ends (which makes the kernel panic), else the first that tells of a
 * kernel panic, else the last that is not blank.
 */
export class LastLine {
  #current: number[] = [];
  #last = "";
  #reason: string | null = null;
  #panic: string | null = null;

  push(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte === NEWLINE) this.#endLine();
      else if (this.#current.length < LINE_BYTES_MAX) this.#current.push(byte);
    }
  }

  /** The line, control characters taken out, or "" when there was none. */
  get text(): string {
    const why = this.#reason ?? this.#panic;
    if (why !== null) return why;
    const current = clean(this.#current);
    return current === "" ? this.#last : current;
  }

  #endLine(): void {
    const line = clean(this.#current);
    if (line !== "") this.#last = line;
    if (REASON.test(line)) this.#reason ??= line;
    if (line.includes("Kernel panic")) this.#panic ??= line;
    this.#current = [];
  }
}

function clean(bytes: number[]): string {
  const text = new TextDecoder().decode(new Uint8Array(bytes));
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]/g, " ").trim();
}

/** Finds a text in a byte stream, however the stream is split. */
export class MarkerScanner {
  readonly #marker: Uint8Array;
  #tail: Uint8Array = new Uint8Array();
  #found = false;

  /** `marker` must not be empty. */
  constructor(marker: string) {
    this.#marker = new TextEncoder().encode(marker);
    if (this.#marker.length === 0) throw new RangeError("marker is empty");
  }

  /** Whether the marker has been seen, in `chunk` or before. */
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
