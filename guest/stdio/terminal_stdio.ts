import { type Fd, type WindowSize } from "../../ffi/mod.ts";
import { ConsoleSocket } from "../runtime/console_socket.ts";
import { copyOutput, DISCARD } from "./pipe_output.ts";
import { type ProcessStdio } from "./process_stdio.ts";
import { InputEndpoint, OutputEndpoint, type StdioDependencies } from "./stdio_endpoint.ts";

/**
 * The terminal of one process. crun makes it inside of the container and sends us its master through
 * a socket; what is typed goes in by one stream, what is shown comes out by another.
 *
 * Output that nobody has dialed stays in the terminal, and its process waits when it is full; where no
 * output was asked for, it is thrown away.
 */
export class TerminalStdio implements ProcessStdio {
  readonly childFds = { 0: "null", 1: "null", 2: "null" } as const;
  readonly consoleSocket: string;

  readonly #dependencies: StdioDependencies;
  readonly #socket: ConsoleSocket;
  readonly #input: InputEndpoint | null;
  readonly #output: OutputEndpoint | null;
  readonly #exited = new AbortController();
  /** For the window size; the endpoints have duplicates. */
  #master: Fd | null = null;
  #size: WindowSize | null = null;

  /** @throws {RpcError} AlreadyExists: an id is in use */
  constructor(
    dependencies: StdioDependencies,
    ids: { readonly stdin: string; readonly stdout: string },
    consoleSocket: string,
  ) {
    using stack = new DisposableStack();
    const exited = this.#exited.signal;
    this.#dependencies = dependencies;
    this.consoleSocket = consoleSocket;
    this.#socket = stack.use(new ConsoleSocket(dependencies.system, consoleSocket));
    this.#input = ids.stdin === ""
      ? null
      : stack.use(new InputEndpoint(dependencies, ids.stdin, null, exited));
    this.#output = ids.stdout === ""
      ? null
      : stack.use(new OutputEndpoint(dependencies, ids.stdout, null, exited));
    stack.move();
  }

  closeChildEnds(): void {}

  created(): void {
    const { system } = this.#dependencies;
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
    if (this.#master !== null) this.#dependencies.system.close(this.#master);
    this.#master = null;
  }

  /** Nothing: a terminal whose typist is gone is not hung up, as with runc's shim. */
  closeInput(): void {}

  resize(size: WindowSize): void {
    this.#size = size;
    if (this.#master !== null) this.#dependencies.system.setWindowSize(this.#master, size);
  }

  [Symbol.dispose](): void {
    this.exited();
    this.#socket[Symbol.dispose]();
    this.#input?.[Symbol.dispose]();
    this.#output?.[Symbol.dispose]();
  }

  async #discard(fd: Fd): Promise<void> {
    const { system, poller } = this.#dependencies;
    try {
      await copyOutput(system, poller, fd, DISCARD, this.#exited.signal);
    } finally {
      system.close(fd);
    }
  }
}
