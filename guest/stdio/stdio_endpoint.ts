import { after } from "../../base/mod.ts";
import { type Fd, type Poller, type System } from "../../ffi/mod.ts";
import { type ByteStream, FrameReader, FrameWriter, waitForClose } from "../../proto/mod.ts";
import { copyInput } from "./pipe_input.ts";
import { copyOutput } from "./pipe_output.ts";
import { type StreamRegistry } from "./stream_registry.ts";

/** Limit for the host to close an output stream after its end frame. */
const LINGER_TIMEOUT_MS = 10_000;

/**
 * The guest's end of one stream of a process, and the host's connection once it has dialed. A
 * terminal's descriptor arrives with the process; a host that dials earlier waits for it.
 */
abstract class Endpoint implements Disposable {
  protected readonly deps: StdioDeps;
  protected readonly exited: AbortSignal;
  readonly #registration: Disposable;
  readonly #ready = Promise.withResolvers<void>();
  #connection: ByteStream | null = null;
  #over = false;
  #disposed = false;
  #fd: Fd | null = null;

  /** Takes over `fd`. `exited` aborts at the process's exit. */
  constructor(deps: StdioDeps, id: string, fd: Fd | null, exited: AbortSignal) {
    this.deps = deps;
    this.exited = exited;
    if (fd !== null) this.provide(fd);
    try {
      this.#registration = deps.streams.add(id, (connection) => this.#serve(connection));
    } catch (error) {
      this.close();
      throw error;
    }
    exited.addEventListener("abort", () => this.#ready.resolve(), { once: true });
  }

  /** Takes over the descriptor that was not there yet when this was made. */
  provide(fd: Fd): void {
    this.#fd = fd;
    if (this.#over) this.close();
    this.#ready.resolve();
  }

  /** Copies until the stream ends. `fd` is null if the process was never created. */
  protected abstract copy(connection: ByteStream, fd: Fd | null): Promise<void>;

  protected get dialed(): boolean {
    return this.#connection !== null;
  }

  /** Closes the descriptor, or one that is still to come. */
  protected close(): void {
    this.#over = true;
    if (this.#fd !== null) this.deps.system.close(this.#fd);
    this.#fd = null;
    this.#ready.resolve();
  }

  async #serve(connection: ByteStream): Promise<void> {
    this.#connection = connection;
    try {
      await this.#ready.promise;
      if (!this.#disposed) await this.copy(connection, this.#fd);
    } catch (error) {
      if (!this.#disposed) throw error; // otherwise dispose has closed the connection
    } finally {
      this.close();
      connection.close();
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#registration[Symbol.dispose]();
    this.#connection?.close();
    // A running copy notices that its connection is gone and closes the descriptor itself.
    if (this.dialed) this.#ready.resolve();
    else this.close();
  }
}

/** The parts that stdio is made of. */
export interface StdioDeps {
  readonly system: System;
  readonly poller: Poller;
  readonly streams: StreamRegistry;
}

/** The guest's end of stdout or stderr. */
export class OutputEndpoint extends Endpoint {
  protected override async copy(connection: ByteStream, fd: Fd | null): Promise<void> {
    const { system, poller } = this.deps;
    const writer = new FrameWriter(connection);
    if (fd === null) await writer.end();
    else await copyOutput(system, poller, fd, writer, this.exited);
    this.close();
    await closedByHost(connection);
  }
}

/** The guest's end of stdin. */
export class InputEndpoint extends Endpoint {
  constructor(...parts: ConstructorParameters<typeof Endpoint>) {
    super(...parts);
    this.exited.addEventListener("abort", () => this.closeUndialed(), { once: true });
  }

  /** Ends the process's stdin, unless the host has dialed it: then the end frame does. */
  closeUndialed(): void {
    if (!this.dialed) this.close();
  }

  protected override async copy(connection: ByteStream, fd: Fd | null): Promise<void> {
    if (fd === null) return;
    const { system, poller } = this.deps;
    await copyInput(system, poller, new FrameReader(connection), fd, this.exited);
  }
}

/** Resolves when the host closes `connection`, which it does when it has read everything. */
async function closedByHost(connection: ByteStream): Promise<void> {
  using _timer = after(LINGER_TIMEOUT_MS, () => connection.close());
  await waitForClose(connection);
}
