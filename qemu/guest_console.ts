import { endsWithin, messageOf } from "../base/mod.ts";
import type { FdStream } from "../ffi/mod.ts";
import { VmError } from "./error.ts";
import { LastLine } from "./last_line.ts";
import { MarkerScanner } from "./marker_scanner.ts";

/** How long the last bytes of the console may take to arrive after QEMU has exited. */
const CONSOLE_GRACE_MS = 200;
const CONSOLE_READ_BYTES = 16 * 1024;

/** Reads the guest's console until it ends, and notices when the guest is ready. */
export class GuestConsole {
  /** Resolves when the marker was seen; rejects if the console cannot be read before that. */
  readonly ready: Promise<void>;
  /** performance.now() of the first byte. */
  firstByteAt: number | null = null;
  /** performance.now() of the marker. */
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

  /** Starts to read a stream; disposing the result stops that. */
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

  /** Resolves when everything that QEMU wrote has been read; call it after QEMU has exited. */
  async ended(): Promise<void> {
    await endsWithin(this.#end, CONSOLE_GRACE_MS);
  }

  /** Returns "last console line: …", for messages. */
  describe(): string {
    const line = this.#lastLine.text;
    return line === "" ? "no console output" : `last console line: ${line}`;
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
      // At the end of the stream the guest cannot become ready either; VmEnd sees that QEMU exits.
      this.#ready.reject(
        new VmError("boot", `guest console cannot be read: ${messageOf(error)}`, {
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
