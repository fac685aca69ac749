import { FdStream, type FdStreamOptions } from "./fd_stream.ts";
import { Poller, poller as defaultPoller } from "./poller.ts";
import { system as realSystem } from "./real_system.ts";
import type { Fd, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/** Accepts connections on a non-blocking listening socket, which it owns. */
export class FdListener implements Disposable {
  readonly fd: Fd;
  readonly #options: FdStreamOptions;
  readonly #system: System;
  readonly #poller: Poller;
  #closed = false;

  constructor(fd: Fd, options: FdStreamOptions = {}) {
    this.fd = fd;
    this.#options = options;
    this.#system = options.system ?? realSystem;
    this.#poller = options.poller ?? defaultPoller;
  }

  /**
   * Resolves with the next connection, which the caller owns.
   *
   * @throws {SystemError} EBADF after `close`; EMFILE if there is no descriptor left.
   * @throws the reason of `signal` if it aborts; no connection is lost then.
   */
  async accept(options: { signal?: AbortSignal } = {}): Promise<FdStream> {
    options.signal?.throwIfAborted();
    for (;;) {
      if (this.#closed) throw new SystemError("accept4", "EBADF");
      try {
        const accepted = this.#system.accept(this.fd);
        if (accepted !== null) return new FdStream(accepted, this.#options);
      } catch (error) {
        // The peer aborted a connection that waited; try the next one.
        if (isSystemError(error, "ECONNABORTED")) continue;
        throw error;
      }
      await this.#poller.wait(this.fd, "readable", options.signal);
    }
  }

  /** Fails pending accepts with EBADF and closes the socket. The file of a unix socket stays. */
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
}
