import { type Fd, type WindowSize } from "../../ffi/mod.ts";
import { ConsoleSocket } from "../runtime/console_socket.ts";
import { copyOutput, DISCARD } from "./pipe_output.ts";
import { type ProcessStdio } from "./process_stdio.ts";
import { InputEndpoint, OutputEndpoint, type StdioDeps } from "./stdio_endpoint.ts";

/**
 * The terminal of one process. crun creates it inside the container and sends its master through a
 * socket. Input and output are two streams.
 *
 * Output that nobody has dialed stays in the terminal, and blocks the process when it is full.
 * Without an output stream it is discarded.
 */
export class TerminalStdio implements ProcessStdio {
  readonly childFds = { 0: "null", 1: "null", 2: "null" } as const;
  readonly consoleSocket: string;

  readonly #deps: StdioDeps;
  readonly #socket: ConsoleSocket;
  readonly #input: InputEndpoint | null;
  readonly #output: OutputEndpoint | null;
  readonly #exited = new AbortController();
  /** For the window size; each endpoint has a duplicate. */
  #master: Fd | null = null;
  #size: WindowSize | null = null;

  /** @throws {RpcError} AlreadyExists: an id is in use */
  constructor(
    deps: StdioDeps,
    ids: { readonly stdin: string; readonly stdout: string },
    consoleSocket: string,
  ) {
    using stack = new DisposableStack();
    const exited = this.#exited.signal;
    this.#deps = deps;
    this.consoleSocket = consoleSocket;
    this.#socket = stack.use(new ConsoleSocket(deps.system, consoleSocket));
    this.#input = ids.stdin === ""
      ? null
      : stack.use(new InputEndpoint(deps, ids.stdin, null, exited));
    this.#output = ids.stdout === ""
      ? null
      : stack.use(new OutputEndpoint(deps, ids.stdout, null, exited));
    stack.move();
  }

  closeChildEnds(): void {}

  created(): void {
    const { system } = this.#deps;
    const master = this.#master = this.#socket.take();
    this.#socket[Symbol.dispose]();
    system.setNonblock(master, true);
    if (this.#size !== null) system.setWindowSize(master, this.#size);
    this.#input?.provide(system.duplicate(master));
    const output = system.duplicate(master);
    if (this.#output !== null) this.#output.provide(output);
    else void this.#discard(output);
  }

  exited(): void {
    this.#exited.abort();
    if (this.#master !== null) this.#deps.system.close(this.#master);
    this.#master = null;
  }

  /** Does nothing: the end of the input does not hang up a terminal, as in runc's shim. */
  closeInput(): void {}

  resize(size: WindowSize): void {
    this.#size = size;
    if (this.#master !== null) this.#deps.system.setWindowSize(this.#master, size);
  }

  [Symbol.dispose](): void {
    this.exited();
    this.#socket[Symbol.dispose]();
    this.#input?.[Symbol.dispose]();
    this.#output?.[Symbol.dispose]();
  }

  async #discard(fd: Fd): Promise<void> {
    const { system, poller } = this.#deps;
    try {
      await copyOutput(system, poller, fd, DISCARD, this.#exited.signal);
    } finally {
      system.close(fd);
    }
  }
}
