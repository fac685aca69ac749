import { printable } from "../../base/mod.ts";
import { type Fd, system } from "../../ffi/mod.ts";
import { openLogFile } from "../base/log.ts";
import type { SandboxName } from "../base/names.ts";

/** How much of the file one guest may fill, prefixes of lines included. The rest is dropped. */
export const CONSOLE_BYTES_MAX = 256 * 1024;
const LINE_CHARS_MAX = 1024;
const DROPPED = "console output beyond the limit is dropped";

/**
 * Copies a guest's console into `<logDir>/console.log`, which all shims share: each line carries
 * the sandbox's name. The guest is hostile: lines and total are bounded, and control characters are
 * replaced, so that a guest can neither fill the disk nor speak for another one.
 */
export class ConsoleLog implements Disposable {
  #fd: Fd | null;
  readonly #prefix: string;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  #line = "";
  #left = CONSOLE_BYTES_MAX;

  constructor(logDir: string, name: SandboxName) {
    this.#fd = openLogFile(logDir, "console.log");
    this.#prefix = `${name.namespace}/${name.id}: `;
  }

  /** Takes the next bytes of the console. */
  write(chunk: Uint8Array): void {
    if (this.#fd === null || this.#left <= 0) return;
    const lines = (this.#line + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#line = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
    for (const line of lines) this.#append(line);
  }

  [Symbol.dispose](): void {
    if (this.#fd === null) return;
    if (this.#line !== "") this.#append(this.#line);
    system.close(this.#fd);
    this.#fd = null;
  }

  #append(line: string): void {
    if (this.#fd === null || this.#left <= 0) return;
    const clean = printable(line, LINE_CHARS_MAX);
    if (clean === "") {
      // Costs as much as it is long, so that a flood of it ends too.
      this.#left -= line.length + 1;
      return;
    }
    const record = this.#record(clean);
    this.#left -= record.length;
    try {
      system.write(this.#fd, this.#left > 0 ? record : this.#record(DROPPED));
    } catch {
      this.#left = 0;
    }
  }

  #record(text: string): Uint8Array {
    return this.#encoder.encode(`${this.#prefix}${text}\n`);
  }
}
