import { printable } from "../base/mod.ts";

/** Longest part of a line that is kept for messages. */
const LINE_CHARACTERS_MAX = 512;
/** As printed by stage 0 (build/initrd/init) and vminitd. */
const REASON = /qemubox: (?:stage 0 failed|vminitd died): /;
const PANIC = /Kernel panic/;
const REASON_OR_PANIC = new RegExp(`${REASON.source}|${PANIC.source}`);
/** Beginnings of both, to search for in much text: many times faster than the expressions. */
const REASON_START = "qemubox: ";
const PANIC_START = "Kernel panic";
/** Lines looked at, from the last one back, for one that is not blank. */
const LINES_BACK_MAX = 64;

/**
 * Keeps the line of a byte stream that best explains its end, in bounded memory: the first in which
 * PID 1 says why it exits (which makes the kernel panic), else the first that reports a kernel
 * panic, else the last that is not blank. A flood costs little: most bytes are only searched.
 */
export class LastLine {
  /** Beginning of the line that has not ended. */
  #current = "";
  #last = "";
  #reason: string | null = null;
  #panic: string | null = null;
  readonly #decoder = new TextDecoder();

  /** Takes the next bytes of the stream. */
  push(chunk: Uint8Array): void {
    const text = this.#current + this.#decoder.decode(chunk, { stream: true });
    const end = text.lastIndexOf("\n");
    this.#current = text.slice(end + 1, end + 1 + LINE_CHARACTERS_MAX);
    if (end < 0) return;
    const lines = text.slice(0, end);
    this.#search(lines);
    this.#last = lastLineOf(lines) || this.#last;
  }

  /** The line without control characters, or "" if there was none. */
  get text(): string {
    return this.#reason ?? this.#panic ?? (clean(this.#current) || this.#last);
  }

  #search(lines: string): void {
    if (this.#reason !== null) return;
    const mayPanic = this.#panic === null && lines.includes(PANIC_START);
    if (!mayPanic && !lines.includes(REASON_START)) return;
    const wanted = this.#panic === null ? REASON_OR_PANIC : REASON;
    for (const line of lines.split("\n")) {
      if (!wanted.test(line)) continue;
      const text = clean(line);
      if (text.search(REASON) === 0) this.#reason ??= text;
      if (PANIC.test(text)) this.#panic ??= text;
    }
  }
}

/** Returns the last line that is not blank; "" if there is none among the last ones. */
function lastLineOf(lines: string): string {
  let end = lines.length;
  for (let looked = 0; looked < LINES_BACK_MAX && end >= 0; looked++) {
    const start = end === 0 ? 0 : lines.lastIndexOf("\n", end - 1) + 1;
    const text = clean(lines.slice(start, end));
    if (text !== "") return text;
    end = start - 1;
  }
  return "";
}

function clean(line: string): string {
  return printable(line.slice(0, LINE_CHARACTERS_MAX), LINE_CHARACTERS_MAX);
}
