import { printable } from "../base/mod.ts";

/** Longest part of a line that is kept for messages, in bytes. */
const LINE_BYTES_MAX = 512;
const NEWLINE = 0x0a;
/** As printed by stage 0 (build/initrd/init) and vminitd. */
const REASON = /^qemubox: (stage 0 failed|vminitd died): /;

/**
 * Keeps the line of a byte stream that best explains its end, in bounded memory: the first in which
 * PID 1 says why it exits (which makes the kernel panic), else the first that reports a kernel
 * panic, else the last that is not blank.
 */
export class LastLine {
  #current: number[] = [];
  #last = "";
  #reason: string | null = null;
  #panic: string | null = null;

  /** Takes the next bytes of the stream. */
  push(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte === NEWLINE) this.#endLine();
      else if (this.#current.length < LINE_BYTES_MAX) this.#current.push(byte);
    }
  }

  /** The line without control characters, or "" if there was none. */
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
