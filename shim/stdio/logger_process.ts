import { Child, type Fd, FdStream, type Pid, SIG, system } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import type { OutputTarget } from "./stdio_target.ts";

/** How long a logger may take to say that it is ready. Milliseconds. */
const READY_TIMEOUT_MS = 10_000;
/** How long it may take to end after the end of its input, and after SIGTERM. Milliseconds. */
const END_GRACE_MS = 10_000, TERM_GRACE_MS = 2_000;

/** Which of a process's output streams it is. */
export type OutputKind = "stdout" | "stderr";
/** Where a logger finds what it is to log, and where it says that it is ready. */
const CHILD_FD: Readonly<Record<OutputKind | "ready", number>> = { stdout: 3, stderr: 4, ready: 5 };

/** The program and the arguments in a logger's address. */
export interface LoggerCommand {
  readonly path: string;
  readonly args: readonly string[];
}

/**
 * Takes `binary:///path/to/logger?key=value&…` apart: each key and value is an argument, as with
 * containerd's own shim. Pure.
 * @throws RpcError InvalidArgument for a path that is not absolute.
 */
export function loggerCommand(address: string): LoggerCommand {
  const bad = new RpcError(Code.InvalidArgument, `stdio ${address} does not name a program`);
  let url: URL;
  let path: string;
  try {
    url = new URL(address);
    path = decodeURIComponent(url.pathname);
  } catch {
    throw bad;
  }
  if (url.host !== "" || !path.startsWith("/")) throw bad;
  const first = new Map<string, string>();
  for (const [key, value] of url.searchParams) {
    if (!first.has(key)) first.set(key, value);
  }
  return { path, args: [...first].flatMap(([key, value]) => value === "" ? [key] : [key, value]) };
}

/**
 * A logging program of containerd's protocol (its package core/runtime/v2/logging): it reads
 * stdout from descriptor 3 and stderr from 4, and closes 5 when it is ready to.
 */
export class LoggerProcess {
  /** A target for each stream that it was started for. */
  readonly targets: ReadonlyMap<OutputKind, OutputTarget>;
  readonly #child: Child;
  readonly #writers: FdStream[];
  #ended: Promise<void> | null = null;

  private constructor(child: Child, writers: ReadonlyMap<OutputKind, FdStream>) {
    this.#child = child;
    this.#writers = [...writers.values()];
    this.targets = new Map(
      [...writers].map(([kind, writer]) => [kind, new LoggerTarget(writer)]),
    );
  }

  /**
   * Starts it and waits until it is ready. A stream that is not among `kinds` is at its end for it.
   * @throws RpcError when it cannot be started, or does not get ready in time; it is gone then.
   */
  static async start(
    address: string,
    kinds: readonly OutputKind[],
    environment: Readonly<Record<string, string>>,
    readyTimeoutMs: number = READY_TIMEOUT_MS,
  ): Promise<LoggerProcess> {
    const command = loggerCommand(address);
    using ours = new DisposableStack();
    using theirs = new DisposableStack();
    const own = (fd: Fd, stack: DisposableStack) => stack.adopt(fd, (one) => system.close(one));
    const writers = new Map<OutputKind, FdStream>();
    const fds: Record<number, Fd> = {};
    for (const kind of ["stdout", "stderr"] as const) {
      const pipe = system.pipe({ nonblock: "write" });
      fds[CHILD_FD[kind]] = own(pipe.read, theirs);
      const writer = ours.use(new FdStream(pipe.write));
      if (kinds.includes(kind)) writers.set(kind, writer);
      else writer.close();
    }
    const ready = system.pipe({ nonblock: "read" });
    fds[CHILD_FD.ready] = own(ready.write, theirs);
    using signal = new FdStream(ready.read);
    const child = spawn(command, fds, { ...Deno.env.toObject(), ...environment });
    theirs.dispose();
    try {
      const late = AbortSignal.timeout(readyTimeoutMs);
      await signal.read(new Uint8Array(1), { signal: late });
    } catch {
      child.kill(SIG.KILL);
      await child.exited;
      throw new RpcError(
        Code.DeadlineExceeded,
        `logger ${command.path} did not say that it is ready within ${readyTimeoutMs / 1000} s`,
      );
    }
    ours.move();
    return new LoggerProcess(child, writers);
  }

  get pid(): Pid {
    return this.#child.pid;
  }

  /**
   * Ends its input and waits for its end: it may take a while over what it has not logged yet, and
   * is then told to end, and then killed.
   */
  end(graceMs: number = END_GRACE_MS, termGraceMs: number = TERM_GRACE_MS): Promise<void> {
    return this.#ended ??= (async () => {
      for (const writer of this.#writers) writer.close();
      const timers = [
        setTimeout(() => this.#child.kill(SIG.TERM), graceMs),
        setTimeout(() => this.#child.kill(SIG.KILL), graceMs + termGraceMs),
      ];
      await this.#child.exited;
      for (const timer of timers) clearTimeout(timer);
    })();
  }
}

function spawn(
  { path, args }: LoggerCommand,
  fds: Record<number, Fd>,
  env: Record<string, string>,
): Child {
  try {
    return Child.spawn({ path, args: [...args], fds, env });
  } catch (error) {
    throw new RpcError(
      Code.InvalidArgument,
      `logger ${path} cannot be started: ${(error as Error).message}`,
    );
  }
}

class LoggerTarget implements OutputTarget {
  /** A logger's end is waited for, and it reads to the end. */
  readonly unreadBytes = 0;
  readonly #stream: FdStream;

  constructor(stream: FdStream) {
    this.#stream = stream;
  }

  write(chunk: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    return this.#stream.write(chunk, options);
  }

  expectReader(): void {}

  [Symbol.dispose](): void {
    this.#stream.close();
  }
}
