import { type Fd, type System, SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { describe } from "../base/console.ts";

/** Room for the bytes that come along: the path of the terminal in the container. */
const MESSAGE_BYTES_MAX = 4_096;

/** The socket to which crun sends the master of a process's terminal (its --console-socket). */
export class ConsoleSocket implements Disposable {
  readonly #system: System;
  readonly #path: string;
  readonly #listener: Fd;
  #disposed = false;

  /** @throws {SystemError} EADDRINUSE and whatever else bind(2) says */
  constructor(system: System, path: string) {
    this.#system = system;
    this.#path = path;
    this.#listener = system.listenUnix(path, { mode: 0o600, backlog: 1 });
  }

  /**
   * The terminal that was sent, which the caller owns. To be called when crun has ended: what it sent
   * is here then.
   *
   * @throws {RpcError} Internal: there is none
   */
  take(): Fd {
    try {
      const connection = this.#system.accept(this.#listener);
      if (connection === null) throw new SystemError("accept4", "EAGAIN");
      try {
        const { fds } = this.#system.receiveFds(connection, new Uint8Array(MESSAGE_BYTES_MAX), 1);
        if (fds[0] === undefined) throw new SystemError("recvmsg", "ENODATA");
        return fds[0];
      } finally {
        this.#system.close(connection);
      }
    } catch (error) {
      throw new RpcError(Code.Internal, `crun sent no terminal: ${describe(error)}`);
    }
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#system.close(this.#listener);
    Deno.removeSync(this.#path);
  }
}
