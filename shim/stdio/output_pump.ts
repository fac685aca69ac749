import type { FrameReader } from "../../proto/mod.ts";
import { pause } from "../base/pause.ts";
import type { OutputTarget } from "./stdio_target.ts";

/** While the end of a stream is waited for, this much at once: each piece shows a reader that moves. */
const DRAIN_BYTES = 4096;
/** The last bytes are delivered: how long a reader that takes none of them may hold up the end. */
const UNREAD_MS_MAX = 2_000;
/** No event says that a FIFO is empty: the pauses between two looks, each twice as long. Milliseconds. */
const LOOK_MS_MIN = 1, LOOK_MS_MAX = 32;

/** What became of a stream, for the log. */
export type OutputEnd =
  | { readonly kind: "complete" }
  | { readonly kind: "reader-gone"; readonly error: Error }
  | { readonly kind: "reader-stopped" }
  | { readonly kind: "cut-off"; readonly error: Error };

/**
 * Copies one output stream from the guest to its target, chunk by chunk: the target's pace is the
 * container's pace. `ended` never rejects.
 *
 * It has not ended before the last byte is read: containerd's client closes its FIFOs as soon as it hears
 * of the exit (cio.Cancel, since 1.7), and with them up to 64 KiB that are in them.
 */
export class OutputPump {
  readonly ended: Promise<OutputEnd>;
  readonly #giveUp = new AbortController();
  readonly #target: OutputTarget;
  #drainMs: number | null = null;
  #isDelivered = false;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param close ends the guest's side of the stream.
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
      clearTimeout(this.#timer);
      target[Symbol.dispose]();
      close();
    });
  }

  /**
   * The process has ended: waits for the rest of its output, but for a reader that takes nothing
   * at all only `drainMs`.
   */
  drain(drainMs: number): Promise<OutputEnd> {
    if (this.#drainMs === null && !this.#over) {
      this.#drainMs = drainMs;
      this.#target.expectReader();
      this.#rearm();
    }
    return this.ended;
  }

  /** Ends the copying at once; what was not delivered is lost. */
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

  /** Each delivered piece gives the reader the whole time again. */
  #rearm(): void {
    if (this.#drainMs === null) return;
    clearTimeout(this.#timer);
    const ms = this.#isDelivered ? Math.min(this.#drainMs, UNREAD_MS_MAX) : this.#drainMs;
    this.#timer = setTimeout(() => this.#giveUp.abort(new Error("drained")), ms);
  }

  /** What is not read when the time is up is still there for who reads on. */
  async #untilRead(): Promise<void> {
    const { signal } = this.#giveUp;
    this.#isDelivered = true;
    this.#rearm();
    let pauseMs = LOOK_MS_MIN;
    for (let unread = this.#target.unreadBytes; unread > 0 && !signal.aborted;) {
      await pause(pauseMs, signal);
      const left = this.#target.unreadBytes;
      if (left < unread) this.#rearm();
      pauseMs = left < unread ? LOOK_MS_MIN : Math.min(pauseMs * 2, LOOK_MS_MAX);
      unread = left;
    }
  }
}
