import { endsWithin, messageOf } from "../base/mod.ts";
import type { FdStream } from "../ffi/mod.ts";
import { VmError } from "./error.ts";
import { LastLine } from "./last_line.ts";
import { MarkerScanner } from "./marker_scanner.ts";

/** How long the last bytes of the console may lag behind the end of QEMU. */
const CONSOLE_GRACE_MS = 200;
const CONSOLE_READ_BYTES = 16 * 1024;

/** Reads the guest's console as long as there is one, and notices when the guest is ready. */
export class GuestConsole {
  /** Resolves when the marker was seen; rejects when the console cannot be read before that. */
  readonly ready: Promise<void>;
  /** performance.now() of the first byte. */
  firstByteAt: number | null = null;
  readyAt: number | null = null;
  readonly #ready = Promise.withResolvers<void>();
  readonly #scanner: MarkerScanner;
  readonly #lastLine = new LastLine();
  readonly #sink: (chunk: Uint8Array) => void;
  #end: Promise<void> = Promise.resolve();

  constructor(marker: string, sink: (chunk: Uint8Array) => void) {
    this.#scanner = new MarkerScanner(marker);
    this.#sink = sink;
    this.ready = this.#ready.promise;
    this.ready.catch(() => {});
  }

  /** Starts to read a stream; disposing what it returns ends that. */
  read(stream: FdStream): AsyncDisposable {
    const end = this.#read(stream);
    this.#end = end;
    return {
      [Symbol.asyncDispose]: async () => {
        stream.close();
        await end;
      },
    };
  }

  /** Resolves when all has been read that QEMU wrote, given that it has ended. */
  async ended(): Promise<void> {
    await endsWithin(this.#end, CONSOLE_GRACE_MS);
  }

  /** "last console line: …". */
  describe(): string {
    const line = this.#lastLine.text;
    return line === "" ? "nothing came on its console" : `last console line: ${line}`;
  }

  async #read(stream: FdStream): Promise<void> {
    const chunk = new Uint8Array(CONSOLE_READ_BYTES);
    try {
      for (;;) {
        const count = await stream.read(chunk);
        if (count === null) return;
        this.#take(chunk.subarray(0, count));
      }
    } catch (error) {
      // At its end the guest cannot become ready any more, but that end of QEMU is seen elsewhere.
      this.#ready.reject(
        new VmError("boot", `console of the guest cannot be read: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    }
  }

  #take(bytes: Uint8Array): void {
    this.firstByteAt ??= performance.now();
    this.#lastLine.push(bytes);
    if (this.readyAt === null && this.#scanner.push(bytes)) {
      this.readyAt = performance.now();
      this.#ready.resolve();
    }
    this.#sink(bytes);
  }
}
