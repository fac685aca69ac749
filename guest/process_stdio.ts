import { type Fd, type Poller, type System } from "../ffi/mod.ts";
import { type ByteStream, FrameReader, FrameWriter, waitForClose } from "../proto/mod.ts";
import { checkedStreamId } from "./ids.ts";
import { copyInput } from "./pipe_input.ts";
import { copyOutput } from "./pipe_output.ts";
import { type StreamRegistry } from "./stream_registry.ts";

/** How long the host may take to close an output stream whose end frame it got. */
const LINGER_TIMEOUT_MS = 10_000;

/** Which streams a process has. Empty: none, it gets /dev/null. */
export interface StdioIds {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws {RpcError} InvalidArgument: an id cannot be dialed */
export function checkStreamIds({ stdin, stdout, stderr }: StdioIds): void {
  for (const id of [stdin, stdout, stderr]) if (id !== "") checkedStreamId(id);
}

/** What stdio is made of. */
export interface StdioDependencies {
  readonly system: System;
  readonly poller: Poller;
  readonly streams: StreamRegistry;
}

/**
 * The pipes of one process, each waiting for the host to dial it.
 *
 * Output that nobody has dialed stays in its pipe, also after the exit, until this is disposed.
 */
export class ProcessStdio implements Disposable {
  /** The process's ends by its descriptor numbers, for {@linkcode System.spawn}. */
  readonly childFds: Readonly<Record<number, Fd | "null">>;

  readonly #system: System;
  readonly #childEnds: Fd[];
  readonly #endpoints: (InputEndpoint | OutputEndpoint)[];
  readonly #input: InputEndpoint | null;
  readonly #exited = new AbortController();

  /**
   * Makes the pipes and registers the ids.
   *
   * @throws {RpcError} AlreadyExists: an id is in use
   */
  constructor(dependencies: StdioDependencies, ids: StdioIds) {
    using stack = new DisposableStack();
    const exited = this.#exited.signal;
    const childFds: Record<number, Fd | "null"> = { 0: "null", 1: "null", 2: "null" };
    const childEnds = stack.adopt([] as Fd[], (fds) => {
      for (const fd of fds) dependencies.system.close(fd);
    });
    const endpoints: (InputEndpoint | OutputEndpoint)[] = [];
    let input: InputEndpoint | null = null;

    if (ids.stdin !== "") {
      const pipe = dependencies.system.pipe({ nonblock: "write" });
      childFds[0] = pipe.read;
      childEnds.push(pipe.read);
      input = stack.use(new InputEndpoint(dependencies, ids.stdin, pipe.write, exited));
      endpoints.push(input);
    }
    for (const [number, id] of [[1, ids.stdout], [2, ids.stderr]] as const) {
      if (id === "") continue;
      const pipe = dependencies.system.pipe({ nonblock: "read" });
      childFds[number] = pipe.write;
      childEnds.push(pipe.write);
      endpoints.push(stack.use(new OutputEndpoint(dependencies, id, pipe.read, exited)));
    }

    this.#system = dependencies.system;
    this.childFds = childFds;
    this.#childEnds = childEnds;
    this.#endpoints = endpoints;
    this.#input = input;
    stack.move();
  }

  /** Closes the process's ends here, once it has its own: else no pipe would ever come to an end. */
  closeChildEnds(): void {
    for (const fd of this.#childEnds.splice(0)) this.#system.close(fd);
  }

  /** The process is gone: what it wrote is delivered, then the streams end. Idempotent. */
  exited(): void {
    this.#exited.abort();
  }

  /** Ends stdin, unless the host has dialed it: then its end frame does, behind the last byte. */
  closeInput(): void {
    this.#input?.closeUndialed();
  }

  /** Ends everything. What is not delivered yet is lost. */
  [Symbol.dispose](): void {
    this.#exited.abort();
    this.closeChildEnds();
    for (const endpoint of this.#endpoints) endpoint[Symbol.dispose]();
  }
}

/** The guest's end of one pipe, and the host's connection once there is one. */
abstract class Endpoint implements Disposable {
  readonly #system: System;
  readonly #registration: Disposable;
  #connection: ByteStream | null = null;
  #disposed = false;
  #fd: Fd | null;

  constructor({ system, streams }: StdioDependencies, id: string, fd: Fd) {
    this.#system = system;
    this.#fd = fd;
    try {
      this.#registration = streams.add(id, (connection) => this.#serve(connection));
    } catch (error) {
      this.closePipe();
      throw error;
    }
  }

  /** Copies until the stream is over. */
  protected abstract copy(connection: ByteStream, fd: Fd): Promise<void>;

  protected get dialed(): boolean {
    return this.#connection !== null;
  }

  protected closePipe(): void {
    if (this.#fd !== null) this.#system.close(this.#fd);
    this.#fd = null;
  }

  async #serve(connection: ByteStream): Promise<void> {
    this.#connection = connection;
    try {
      if (this.#fd !== null) await this.copy(connection, this.#fd);
    } catch (error) {
      if (!this.#disposed) throw error; // else it is the connection that was closed below
    } finally {
      this.closePipe();
      connection.close();
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#registration[Symbol.dispose]();
    this.#connection?.close();
    // A copy that is under way notices that its connection is gone and closes the pipe itself.
    if (!this.dialed) this.closePipe();
  }
}

class OutputEndpoint extends Endpoint {
  readonly #dependencies: StdioDependencies;
  readonly #exited: AbortSignal;

  constructor(dependencies: StdioDependencies, id: string, fd: Fd, exited: AbortSignal) {
    super(dependencies, id, fd);
    this.#dependencies = dependencies;
    this.#exited = exited;
  }

  protected override async copy(connection: ByteStream, fd: Fd): Promise<void> {
    const { system, poller } = this.#dependencies;
    await copyOutput(system, poller, fd, new FrameWriter(connection), this.#exited);
    this.closePipe();
    await closedByHost(connection);
  }
}

class InputEndpoint extends Endpoint {
  readonly #dependencies: StdioDependencies;
  readonly #exited: AbortSignal;

  constructor(dependencies: StdioDependencies, id: string, fd: Fd, exited: AbortSignal) {
    super(dependencies, id, fd);
    this.#dependencies = dependencies;
    this.#exited = exited;
    exited.addEventListener("abort", () => this.closeUndialed(), { once: true });
  }

  closeUndialed(): void {
    if (!this.dialed) this.closePipe();
  }

  protected override async copy(connection: ByteStream, fd: Fd): Promise<void> {
    const { system, poller } = this.#dependencies;
    await copyInput(system, poller, new FrameReader(connection), fd, this.#exited);
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
