import { describeError, removeIfPresent } from "../../base/mod.ts";
import { type Fd, type System, SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";

/** Room for the bytes of the message: the path of the terminal in the container. */
const MESSAGE_BYTES_MAX = 4_096;

/** The socket that receives the master of a process's terminal from crun (its --console-socket). */
export class ConsoleSocket implements Disposable {
  readonly #system: System;
  readonly #path: string;
  readonly #listener: Fd;
  #disposed = false;

  /** @throws {SystemError} EADDRINUSE or another errno of bind(2) */
  constructor(system: System, path: string) {
    this.#system = system;
    this.#path = path;
    this.#listener = system.listenUnix(path, { mode: 0o600, backlog: 1 });
  }

  /**
   * Returns the terminal that crun sent; the caller owns it. To be called after crun's exit: a
   * terminal that it sent has arrived by then.
   *
   * @throws {RpcError} Internal: crun sent none
   */
  take(): Fd {
    try {
      const connection = this.#system.accept(this.#listener);
      if (connection === null) throw new SystemError("accept4", "EAGAIN");
      using undo = new DisposableStack();
      undo.defer(() => this.#system.close(connection));
      const { fds } = this.#system.receiveFds(connection, new Uint8Array(MESSAGE_BYTES_MAX), 1);
      if (fds[0] === undefined) throw new SystemError("recvmsg", "ENODATA");
      return fds[0];
    } catch (error) {
      throw new RpcError(Code.Internal, `crun sent no terminal: ${describeError(error)}`);
    }
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#system.close(this.#listener);
    removeIfPresent(this.#path);
  }
}
