import { type Fd, FdStream, O, system } from "../../ffi/mod.ts";
import { dirname } from "node:path";
import { Code, RpcError } from "../../proto/mod.ts";
import type { InputSource } from "./input_pump.ts";

/** Where a container's output goes on the host. */
export interface OutputTarget extends Disposable {
  /** Resolves once all of it is taken; rejects with EPIPE when the reader is gone for good. */
  write(chunk: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
  /** The process has ended: from now on a missing reader is an error and nothing to wait for. */
  expectReader(): void;
  /** What is delivered and not yet read; 0 where nobody can read it, or nobody can tell. */
  readonly unreadBytes: number;
}

/**
 * Opens what containerd names in `stdout` or `stderr`: a FIFO, or `file://PATH`.
 *
 * A FIFO is held open for reading as well, so that a reader may detach and come back (ctr task
 * attach) without the container being told with SIGPIPE.
 *
 * @throws RpcError InvalidArgument for anything else, naming it.
 */
export function openOutput(address: string): OutputTarget {
  const path = outputPath(address);
  if (path.kind === "file") {
    // Without O_NONBLOCK, a FIFO of that name would stop the whole shim until somebody reads it.
    const flags = O.WRONLY | O.CREAT | O.APPEND | O.NONBLOCK;
    // As containerd's own shim does.
    Deno.mkdirSync(dirname(path.path), { recursive: true, mode: 0o755 });
    return new FileTarget(open(path.path, flags, "stdout or stderr"));
  }
  const keeper = open(path.path, O.RDONLY | O.NONBLOCK, "stdout or stderr");
  try {
    if (system.fileType(keeper) !== "fifo") {
      throw new RpcError(Code.InvalidArgument, `${path.path} is not a FIFO`);
    }
    return new FifoTarget(open(path.path, O.WRONLY | O.NONBLOCK, "stdout or stderr"), keeper);
  } catch (error) {
    system.close(keeper);
    throw error;
  }
}

/** The FIFO `stdin`, found but not yet opened: a client that writes to it still waits. */
export interface InputFifo {
  /**
   * Opens it. It is opened for writing too, so that it does not end when a client detaches: only
   * CloseIO ends a container's stdin.
   */
  open(): InputSource;
  /** Lets go of it; idempotent. */
  close(): void;
}

/**
 * Finds the FIFO `stdin`.
 * @throws RpcError InvalidArgument when there is none.
 */
export function findInput(path: string): InputFifo {
  const found = open(path, O.PATH, "stdin");
  using undo = new DisposableStack();
  undo.defer(() => system.close(found));
  if (system.fileType(found) !== "fifo") {
    throw new RpcError(Code.InvalidArgument, `stdin ${path} is not a FIFO`);
  }
  const held = undo.move();
  return {
    open: () => openInput(open(`/proc/self/fd/${found}`, O.RDWR | O.NONBLOCK, "stdin")),
    close: () => held.dispose(),
  };
}

function openInput(fd: Fd): InputSource {
  const stream = new FdStream(fd);
  return {
    read: (into, options) => stream.read(into, options),
    readNow: (into) => system.read(fd, into) || null,
    close: () => stream.close(),
  };
}

/** Tells a FIFO's path from a URI. Pure. */
export function outputPath(address: string): { kind: "fifo" | "file"; path: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(address);
  if (scheme === null || scheme[1] === "fifo") {
    const path = address.replace(/^fifo:\/\//, "");
    if (!path.startsWith("/")) {
      throw new RpcError(Code.InvalidArgument, `stdio path ${path} is not absolute`);
    }
    return { kind: "fifo", path };
  }
  if (scheme[1] === "file") return { kind: "file", path: filePath(address) };
  throw new RpcError(
    Code.Unimplemented,
    `stdio ${address}: FIFOs, file:// and binary:// are supported, not ${scheme[1]}://`,
  );
}

function filePath(address: string): string {
  try {
    const { host, pathname } = new URL(address);
    if (host === "") return decodeURIComponent(pathname);
  } catch {
    // Not a URL, or one with a percent sign that stands for nothing.
  }
  throw new RpcError(Code.InvalidArgument, `stdio ${address} does not name a file`);
}

function open(path: string, flags: number, what: string): Fd {
  try {
    return system.open(path, flags);
  } catch (error) {
    throw new RpcError(
      Code.InvalidArgument,
      `${what} cannot be opened: ${(error as Error).message}`,
    );
  }
}

class FifoTarget implements OutputTarget {
  readonly #stream: FdStream;
  #keeper: Fd | null;

  constructor(writer: Fd, keeper: Fd) {
    this.#stream = new FdStream(writer);
    this.#keeper = keeper;
  }

  write(chunk: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    return this.#stream.write(chunk, options);
  }

  expectReader(): void {
    if (this.#keeper !== null) system.close(this.#keeper);
    this.#keeper = null;
  }

  get unreadBytes(): number {
    const { unreadBytes, hasReader } = system.pipeState(this.#stream.fd);
    return hasReader ? unreadBytes : 0;
  }

  [Symbol.dispose](): void {
    this.expectReader();
    this.#stream.close();
  }
}

class FileTarget implements OutputTarget {
  readonly unreadBytes = 0;
  readonly #stream: FdStream;

  constructor(fd: Fd) {
    this.#stream = new FdStream(fd);
  }

  write(chunk: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    return this.#stream.write(chunk, options);
  }

  expectReader(): void {}

  [Symbol.dispose](): void {
    this.#stream.close();
  }
}
