import { type Fd, type Poller, type System } from "../../ffi/mod.ts";
import { type ByteStream, FrameReader, FrameWriter, waitForClose } from "../../proto/mod.ts";
import { copyInput } from "./pipe_input.ts";
import { copyOutput } from "./pipe_output.ts";
import { type StreamRegistry } from "./stream_registry.ts";

/** How long the host may take to close an output stream whose end frame it got. */
const LINGER_TIMEOUT_MS = 10_000;

/** What stdio is made of. */
export interface StdioDependencies {
  readonly system: System;
  readonly poller: Poller;
  readonly streams: StreamRegistry;
}

/**
 * The guest's end of one stream of a process, and the host's connection once there is one. The
 * descriptor of a terminal comes when the process does; a host that dials earlier waits for it.
 */
abstract class Endpoint implements Disposable {
  protected readonly dependencies: StdioDependencies;
  protected readonly exited: AbortSignal;
  readonly #registration: Disposable;
  readonly #ready = Promise.withResolvers<void>();
  #connection: ByteStream | null = null;
  #over = false;
  #disposed = false;
  #fd: Fd | null = null;

  /** Owns `fd`. `exited` aborts when the process has ended. */
  constructor(
    dependencies: StdioDependencies,
    id: string,
    fd: Fd | null,
    exited: AbortSignal,
  ) {
    this.dependencies = dependencies;
    this.exited = exited;
    if (fd !== null) this.provide(fd);
    try {
      this.#registration = dependencies.streams.add(id, (connection) => this.#serve(connection));
    } catch (error) {
      this.close();
      throw error;
    }
    exited.addEventListener("abort", () => this.#ready.resolve(), { once: true });
  }

  /** Gives it the descriptor that it was made without, and owns from now on. */
  provide(fd: Fd): void {
    this.#fd = fd;
    if (this.#over) this.close();
    this.#ready.resolve();
  }

  /** Copies until the stream is over. There is no `fd` when the process came to nothing. */
  protected abstract copy(connection: ByteStream, fd: Fd | null): Promise<void>;

  protected get dialed(): boolean {
    return this.#connection !== null;
  }

  /** Closes the descriptor, and one that is still to come. */
  protected close(): void {
    this.#over = true;
    if (this.#fd !== null) this.dependencies.system.close(this.#fd);
    this.#fd = null;
    this.#ready.resolve();
  }

  async #serve(connection: ByteStream): Promise<void> {
    this.#connection = connection;
    try {
      await this.#ready.promise;
      if (!this.#disposed) await this.copy(connection, this.#fd);
    } catch (error) {
      if (!this.#disposed) throw error; // else it is the connection that was closed below
    } finally {
      this.close();
      connection.close();
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#registration[Symbol.dispose]();
    this.#connection?.close();
    // A copy that is under way notices that its connection is gone and closes the descriptor itself.
    if (this.dialed) this.#ready.resolve();
    else this.close();
  }
}

/** The guest's end of stdout or stderr. */
export class OutputEndpoint extends Endpoint {
  protected override async copy(connection: ByteStream, fd: Fd | null): Promise<void> {
    const { system, poller } = this.dependencies;
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

  /** Ends the process's stdin, unless the host has dialed it: then its end frame does. */
  closeUndialed(): void {
    if (!this.dialed) this.close();
  }

  protected override async copy(connection: ByteStream, fd: Fd | null): Promise<void> {
    if (fd === null) return;
    const { system, poller } = this.dependencies;
    await copyInput(system, poller, new FrameReader(connection), fd, this.exited);
  }
}

/** Waits until the host closes `connection`: it has taken everything then. */
async function closedByHost(connection: ByteStream): Promise<void> {
  const deadline = setTimeout(() => connection.close(), LINGER_TIMEOUT_MS);
  try {
    await waitForClose(connection);
  } finally {
    clearTimeout(deadline);
  }
}
