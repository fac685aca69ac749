import { printable } from "../base/mod.ts";

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
  return printable(new TextDecoder().decode(new Uint8Array(bytes)), LINE_BYTES_MAX);
}
