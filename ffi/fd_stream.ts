import { FifoLock } from "./fifo_lock.ts";
import { MANY_BYTES, Poller, poller as defaultPoller } from "./poller.ts";
import { system as realSystem } from "./real_system.ts";
import type { Fd, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/** What works with descriptors and not only on them. */
export interface FdStreamOptions {
  /** Default: the real one. */
  system?: System;
  /** Default: the one of this process. */
  poller?: Poller;
  /** Most bytes that one write(2) is given; default: all. */
  writeBytesMax?: number;
}

/**
 * System calls in a row before the stream lets the event loop turn: a peer that is always ready
 * would starve everything else.
 */
const CALLS_WITHOUT_TURN_MAX = 64;

/**
 * A byte stream over a non-blocking descriptor, which it owns: a pipe, FIFO, socket or terminal. A
 * descriptor without O_NONBLOCK would stop the whole event loop.
 *
 * A FIFO that is open for reading alone is at its end until somebody opens it for writing: open it
 * with O_RDWR to wait for that.
 */
export class FdStream implements AsyncDisposable, Disposable {
  readonly fd: Fd;
  readonly #system: System;
  readonly #poller: Poller;
  readonly #writeBytesMax: number;
  readonly #writers = new FifoLock();
  /** Why there can be no more writes: one was cut off in its middle. */
  #cutOff: unknown;
  #closed = false;
  #callsWithoutTurn = 0;
  /** Bytes of the last call in each direction that moved any. */
  readonly #last = { readable: 0, writable: 0 };

  constructor(fd: Fd, options: FdStreamOptions = {}) {
    this.fd = fd;
    this.#system = options.system ?? realSystem;
    this.#poller = options.poller ?? defaultPoller;
    this.#writeBytesMax = options.writeBytesMax ?? Infinity;
  }

  /**
   * Reads what is there, and waits only if nothing is: how many bytes, or null at the end of the
   * stream and after `close`.
   *
   * @throws {SystemError} such as ECONNRESET.
   * @throws the reason of `signal` when it is aborted; no byte is lost then.
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
   * Writes all of `data`, which must not change until then. Writes follow each other in the order
   * of their calls.
   *
   * @throws {SystemError} EPIPE when the reader is gone, EBADF after `close`.
   * @throws the reason of `signal` when it is aborted. If a part was written by then, all later
   * writes fail with EPIPE: the stream has a hole that they must not hide.
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

  /** Ends pending reads with null and pending writes with EBADF, and closes the descriptor. */
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

  /** Whether it is this stream's turn. @throws {SystemError} EBADF when it is closed. */
  #mayCall(syscall: "read" | "write"): boolean {
    // The number may belong to somebody else already.
    if (this.#closed) throw new SystemError(syscall, "EBADF");
    return this.#callsWithoutTurn++ < CALLS_WITHOUT_TURN_MAX;
  }

  async #ready(event: "readable" | "writable", signal: AbortSignal | undefined): Promise<void> {
    await this.#poller.wait(this.fd, event, signal, this.#last[event] >= MANY_BYTES);
    this.#callsWithoutTurn = 0;
  }
}
