import { delay, endsWithin, messageOf, type RateLimit, TokenBucket } from "../base/mod.ts";
import type { FdStream } from "../ffi/mod.ts";
import { VmError } from "./error.ts";
import { LastLine } from "./last_line.ts";
import { MarkerScanner } from "./marker_scanner.ts";

/** How long the last bytes of the console may take to arrive after QEMU has exited. */
const CONSOLE_GRACE_MS = 200;
/** As much as a pipe holds. */
const CONSOLE_READ_BYTES = 64 * 1024;
/**
 * Reads of the console once the guest is ready, and the most bytes of each: 80 KiB a second are
 * seven times what a serial line of 115,200 baud carries. QEMU writes single bytes, so a guest that
 * floods its console would else cost a read for every few of them. What comes faster waits in the
 * pipe.
 */
const READS = { perSecond: 5, burst: 100 };
const READY_READ_BYTES = 16 * 1024;

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
  readonly #reads: TokenBucket;
  /** Aborts when what is left is read at once: the VM has ended. */
  readonly #ending = new AbortController();
  #end: Promise<void> = Promise.resolve();

  /** @param reads rate of reads once the guest is ready. */
  constructor(marker: string, sink: (chunk: Uint8Array) => void, reads: RateLimit = READS) {
    this.#reads = new TokenBucket(reads);
    this.#scanner = new MarkerScanner(marker);
    this.#sink = sink;
    this.ready = this.#ready.promise;
    this.ready.catch(() => {});
  }

  /** Starts to read a stream; disposing the result stops that. */
  read(stream: ConsoleStream): AsyncDisposable {
    const end = this.#read(stream);
    this.#end = end;
    return {
      [Symbol.asyncDispose]: async () => {
        stream.close();
        this.#ending.abort();
        await end;
      },
    };
  }

  /** Resolves when everything that QEMU wrote has been read; call it after QEMU has exited. */
  async ended(): Promise<void> {
    this.#ending.abort();
    await endsWithin(this.#end, CONSOLE_GRACE_MS);
  }

  /** Returns "last console line: …", for messages. */
  describe(): string {
    const line = this.#lastLine.text;
    return line === "" ? "no console output" : `last console line: ${line}`;
  }

  async #read(stream: ConsoleStream): Promise<void> {
    const chunk = new Uint8Array(CONSOLE_READ_BYTES);
    try {
      for (;;) {
        const most = this.readyAt === null ? CONSOLE_READ_BYTES : READY_READ_BYTES;
        const count = await stream.read(chunk.subarray(0, most));
        if (count === null) return;
        this.#take(chunk.subarray(0, count));
        const waitMs = this.readyAt === null ? 0 : this.#reads.owe();
        if (waitMs > 0) await delay(waitMs, this.#ending.signal);
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

/** The part of a stream that is read. */
export type ConsoleStream = Pick<FdStream, "read" | "close">;
