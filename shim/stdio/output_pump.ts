import { after, delay } from "../../base/mod.ts";
import type { FrameReader } from "../../proto/mod.ts";
import type { OutputTarget } from "./stdio_target.ts";

/**
 * Copies one output stream from the guest to its target, chunk by chunk: the target's pace is the
 * container's pace.
 *
 * It does not end before the last byte is read: containerd's client closes its FIFOs as soon as it
 * sees the exit (cio.Cancel, since 1.7), and drops up to 64 KiB that are still in them.
 */
export class OutputPump {
  /** Never rejects. */
  readonly ended: Promise<OutputEnd>;
  readonly #giveUp = new AbortController();
  readonly #target: OutputTarget;
  #drainMs: number | null = null;
  #isDelivered = false;
  #over = false;
  #timer: Disposable | null = null;

  /**
   * @param close closes the stream to the guest.
   * @param onFirstByte called once, before the first chunk is delivered.
   */
  constructor(
    reader: Pick<FrameReader, "read">,
    target: OutputTarget,
    close: () => void,
    onFirstByte: () => void = () => {},
  ) {
    this.#target = target;
    this.ended = this.#run(reader, onFirstByte).finally(() => {
      this.#over = true;
      this.#timer?.[Symbol.dispose]();
      target[Symbol.dispose]();
      close();
    });
  }

  /**
   * Delivers the rest of the output, since the process has exited. Gives up when the reader takes
   * nothing for `drainMs`.
   */
  drain(drainMs: number): Promise<OutputEnd> {
    if (this.#drainMs === null && !this.#over) {
      this.#drainMs = drainMs;
      this.#target.expectReader();
      this.#rearm();
    }
    return this.ended;
  }

  /** Stops copying at once and drops the rest of the output. */
  abandon(): void {
    this.#giveUp.abort(new Error("abandoned"));
  }

  async #run(reader: Pick<FrameReader, "read">, onFirstByte: () => void): Promise<OutputEnd> {
    const { signal } = this.#giveUp;
    for (let first = true;; first = false) {
      let chunk: Uint8Array | null;
      try {
        chunk = await reader.read({ signal });
      } catch (error) {
        if (signal.aborted) return { kind: "reader-stopped" };
        return { kind: "cut-off", error: error as Error };
      }
      if (chunk === null) {
        await this.#untilRead();
        return { kind: "complete" };
      }
      if (first) onFirstByte();
      try {
        await this.#deliver(chunk);
      } catch (error) {
        if (signal.aborted) return { kind: "reader-stopped" };
        return { kind: "reader-gone", error: error as Error };
      }
    }
  }

  async #deliver(chunk: Uint8Array): Promise<void> {
    const { signal } = this.#giveUp;
    for (let rest = chunk; rest.length > 0;) {
      const part = this.#drainMs === null ? rest : rest.subarray(0, DRAIN_BYTES);
      await this.#target.write(part, { signal });
      rest = rest.subarray(part.length);
      this.#rearm();
    }
  }

  /** Restarts the deadline: each delivered piece gives the reader the whole time again. */
  #rearm(): void {
    if (this.#drainMs === null) return;
    this.#timer?.[Symbol.dispose]();
    const ms = this.#isDelivered ? Math.min(this.#drainMs, UNREAD_MS_MAX) : this.#drainMs;
    this.#timer = after(ms, () => this.#giveUp.abort(new Error("drained")));
  }

  /** Waits for the reader. Bytes that are unread at the deadline stay in the FIFO. */
  async #untilRead(): Promise<void> {
    const { signal } = this.#giveUp;
    this.#isDelivered = true;
    this.#rearm();
    let lookMs = LOOK_MS_MIN;
    for (let unread = this.#target.unreadBytes; unread > 0 && !signal.aborted;) {
      await delay(lookMs, signal);
      const left = this.#target.unreadBytes;
      if (left < unread) this.#rearm();
      lookMs = left < unread ? LOOK_MS_MIN : Math.min(lookMs * 2, LOOK_MS_MAX);
      unread = left;
    }
  }
}

/** Bytes per write while draining: each write that succeeds shows that the reader moves. */
const DRAIN_BYTES = 4096;
/** Timeout of a reader that reads none of the last bytes, after they are delivered. */
const UNREAD_MS_MAX = 2_000;
/** No event reports an empty FIFO: the delay between two looks doubles up to this. Milliseconds. */
const LOOK_MS_MIN = 1, LOOK_MS_MAX = 32;

/** End of a stream, for the log. */
export type OutputEnd =
  | { readonly kind: "complete" }
  | { readonly kind: "reader-gone"; readonly error: Error }
  | { readonly kind: "reader-stopped" }
  | { readonly kind: "cut-off"; readonly error: Error };
