import { FifoLock } from "./fifo_lock.ts";
import { MANY_BYTES, Poller, poller as defaultPoller } from "./poller.ts";
import { system as realSystem } from "./real_system.ts";
import type { Fd, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/**
 * System calls in a row before the stream yields to the event loop, so that a peer that is always
 * ready does not starve everything else.
 */
const CALLS_WITHOUT_TURN_MAX = 64;

/**
 * A byte stream over a non-blocking descriptor, which it owns: a pipe, FIFO, socket or terminal. A
 * descriptor without O_NONBLOCK would block the whole event loop.
 *
 * A FIFO opened read-only is at end of file until a writer opens it. Open it with O_RDWR to wait
 * for a writer.
 */
export class FdStream implements AsyncDisposable, Disposable {
  readonly fd: Fd;
  readonly #system: System;
  readonly #poller: Poller;
  readonly #writeBytesMax: number;
  readonly #writers = new FifoLock();
  /** Error that cut off a write in the middle, after which no write is possible. */
  #cutOff: unknown;
  #closed = false;
  #callsWithoutTurn = 0;
  /** Bytes of the last successful call in each direction. */
  readonly #last = { readable: 0, writable: 0 };

  constructor(fd: Fd, options: FdStreamOptions = {}) {
    this.fd = fd;
    this.#system = options.system ?? realSystem;
    this.#poller = options.poller ?? defaultPoller;
    this.#writeBytesMax = options.writeBytesMax ?? Infinity;
  }

  /**
   * Reads the bytes that are available, and waits only if there are none. Returns their number, or
   * null at the end of the stream and after `close`.
   *
   * @throws {SystemError} such as ECONNRESET.
   * @throws the reason of `signal` if it aborts; no byte is lost then.
   */
  async read(into: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<number | null> {
    options.signal?.throwIfAborted();
    if (this.#closed) return null;
    if (into.length === 0) return 0;
    try {
      for (;;) {
        const count = this.#mayCall("read") ? this.#system.read(this.fd, into) : null;
        if (count === null) await this.#ready("readable", options.signal);
        else return (this.#last.readable = count) === 0 ? null : count;
      }
    } catch (error) {
      if (this.#closed && isSystemError(error, "EBADF")) return null;
      throw error;
    }
  }

  /**
   * Writes all of `data`, which must not change until the promise settles. Concurrent writes are
   * made in the order of their calls.
   *
   * @throws {SystemError} EPIPE if the reader is gone, EBADF after `close`.
   * @throws the reason of `signal` if it aborts. If a part was written by then, all later writes
   * fail with EPIPE, because they would follow a gap in the stream.
   */
  async write(data: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#writers.acquire(options.signal);
    let written = 0;
    try {
      if (this.#cutOff !== undefined) {
        throw new SystemError("write", "EPIPE", { cause: this.#cutOff });
      }
      if (this.#closed) throw new SystemError("write", "EBADF");
      while (written < data.length) {
        const piece = data.subarray(written, written + this.#writeBytesMax);
        const count = this.#mayCall("write") ? this.#system.write(this.fd, piece) : null;
        if (count === null) await this.#ready("writable", options.signal);
        else written += this.#last.writable = count;
      }
    } catch (error) {
      if (written > 0) this.#cutOff = error;
      throw error;
    } finally {
      this.#writers.release();
    }
  }

  /** Closes the descriptor. Pending reads return null, pending writes fail with EBADF. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.forget(this.fd);
    this.#system.close(this.fd);
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /**
   * Returns whether another call fits before the next turn.
   *
   * @throws {SystemError} EBADF if closed.
   */
  #mayCall(syscall: "read" | "write"): boolean {
    // The number may already be that of another file.
    if (this.#closed) throw new SystemError(syscall, "EBADF");
    return this.#callsWithoutTurn++ < CALLS_WITHOUT_TURN_MAX;
  }

  async #ready(event: "readable" | "writable", signal: AbortSignal | undefined): Promise<void> {
    await this.#poller.wait(this.fd, event, signal, this.#last[event] >= MANY_BYTES);
    this.#callsWithoutTurn = 0;
  }
}

/** Options of {@link FdStream} and everything made of descriptors. */
export interface FdStreamOptions {
  /** Default: the real one. */
  system?: System;
  /** Default: the one of this process. */
  poller?: Poller;
  /** Most bytes for one write(2); default: no limit. */
  writeBytesMax?: number;
}
