import { dirname } from "node:path";
import { messageOf, quoted } from "../../base/mod.ts";
import { type Fd, FdStream, O, system } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { InputSource } from "./input_pump.ts";

/** Destination of a container's output on the host. */
export interface OutputTarget extends Disposable {
  /** Resolves when the whole chunk is taken. Rejects with EPIPE if the reader is gone for good. */
  write(chunk: Uint8Array, options: { signal: AbortSignal }): Promise<void>;
  /** Makes a missing reader an error instead of waiting for one, since the process has exited. */
  expectReader(): void;
  /** Bytes that are delivered and not yet read; 0 without a reader, or if that is unknown. */
  readonly unreadBytes: number;
}

/**
 * Opens the address that containerd names in `stdout` or `stderr`: a FIFO, or `file://PATH`.
 *
 * A FIFO is held open for reading as well, so that a reader may detach and come back (ctr task
 * attach) without the container getting SIGPIPE.
 *
 * @throws {RefusedError} `invalid` or `unsupported`, naming the address.
 */
export function openOutput(address: string): OutputTarget {
  const path = outputPath(address);
  if (path.kind === "file") {
    // Without O_NONBLOCK, a FIFO at this path would block the whole shim until it has a reader.
    const flags = O.WRONLY | O.CREAT | O.APPEND | O.NONBLOCK;
    // As containerd's own shim does.
    Deno.mkdirSync(dirname(path.path), { recursive: true, mode: 0o755 });
    return new FileTarget(open(path.path, flags, "stdout or stderr"));
  }
  const keeper = open(path.path, O.RDONLY | O.NONBLOCK, "stdout or stderr");
  try {
    if (system.fileType(keeper) !== "fifo") {
      throw notFifo("stdout or stderr", path.path);
    }
    return new FifoTarget(open(path.path, O.WRONLY | O.NONBLOCK, "stdout or stderr"), keeper);
  } catch (error) {
    system.close(keeper);
    throw error;
  }
}

/** The FIFO `stdin`, found but not yet opened: a client's write to it still blocks. */
export interface InputFifo {
  /**
   * Opens it, for writing too, so that it does not end when a client detaches: only CloseIO ends a
   * container's stdin.
   */
  open(): InputSource;
  /** Releases it; idempotent. */
  close(): void;
}

/**
 * Finds the FIFO `stdin`.
 *
 * @throws {RefusedError} `invalid` unless there is one.
 */
export function findInput(path: string): InputFifo {
  const found = open(path, O.PATH, "stdin");
  using undo = new DisposableStack();
  undo.defer(() => system.close(found));
  if (system.fileType(found) !== "fifo") throw notFifo("stdin", path);
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

/** Parses an address of output. Pure. */
export function outputPath(address: string): { kind: "fifo" | "file"; path: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(address);
  if (scheme === null || scheme[1] === "fifo") {
    const path = address.replace(/^fifo:\/\//, "");
    if (!path.startsWith("/")) {
      throw new RefusedError("invalid", `stdio path ${quoted(path)}`, "must be absolute");
    }
    return { kind: "fifo", path };
  }
  if (scheme[1] === "file") return { kind: "file", path: filePath(address) };
  throw new RefusedError(
    "unsupported",
    `stdio ${quoted(address)}`,
    `has scheme ${scheme[1]}://`,
    "use a FIFO, file:// or binary://",
  );
}

function filePath(address: string): string {
  try {
    const { host, pathname } = new URL(address);
    if (host === "") return decodeURIComponent(pathname);
  } catch {
    // Not a URL, or an invalid percent escape.
  }
  throw new RefusedError(
    "invalid",
    `stdio ${quoted(address)}`,
    "must name a file by its absolute path",
  );
}

function open(path: string, flags: number, what: string): Fd {
  try {
    return system.open(path, flags);
  } catch (error) {
    const why = `cannot be opened: ${messageOf(error)}`;
    throw new RefusedError("invalid", what, why, undefined, { cause: error });
  }
}

function notFifo(what: string, path: string): RefusedError {
  return new RefusedError("invalid", `${what} ${path}`, "is not a FIFO");
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
