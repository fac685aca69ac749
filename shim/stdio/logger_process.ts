import { after, inheritedEnvironment, messageOf, quoted, withDeadline } from "../../base/mod.ts";
import { Child, type Fd, FdStream, type Pid, SIG, system } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { OutputTarget } from "./stdio_target.ts";

/**
 * A logging program of containerd's protocol (its package core/runtime/v2/logging): it reads
 * stdout from descriptor 3 and stderr from 4, and closes 5 when it is ready to read.
 */
export class LoggerProcess {
  /** A target for each stream that the logger was started for. */
  readonly targets: ReadonlyMap<OutputKind, OutputTarget>;
  readonly #child: Child;
  readonly #writers: FdStream[];
  #exited: Promise<void> | null = null;

  private constructor(child: Child, writers: ReadonlyMap<OutputKind, FdStream>) {
    this.#child = child;
    this.#writers = [...writers.values()];
    this.targets = new Map(
      [...writers].map(([kind, writer]) => [kind, new LoggerTarget(writer)]),
    );
  }

  /**
   * Starts the logger and waits until it is ready. It gets an empty stream for each that is not
   * among `kinds`.
   *
   * @throws {RefusedError} `invalid` if it cannot be started; `host` if it is not ready in time.
   *   Its process is gone then.
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
    using readiness = new FdStream(ready.read);
    const inherited = inheritedEnvironment(Deno.env.toObject());
    const child = spawn(command, fds, { ...inherited, ...environment });
    theirs.dispose();
    const onTimeout = () =>
      new RefusedError(
        "timeout",
        `logger ${command.path}`,
        `did not close descriptor ${CHILD_FD.ready} within ${
          readyTimeoutMs / 1000
        } s to report ready`,
      );
    try {
      await withDeadline({ timeoutMs: readyTimeoutMs, onTimeout }, (signal) => {
        return readiness.read(new Uint8Array(1), { signal });
      });
    } catch (error) {
      child.kill(SIG.KILL);
      await child.exited;
      throw error;
    }
    ours.move();
    return new LoggerProcess(child, writers);
  }

  get pid(): Pid {
    return this.#child.pid;
  }

  /**
   * Ends the logger's input and waits for its exit. It may take `graceMs` for the rest of its
   * input, then gets SIGTERM, and SIGKILL after another `termGraceMs`.
   */
  end(graceMs: number = END_GRACE_MS, termGraceMs: number = TERM_GRACE_MS): Promise<void> {
    return this.#exited ??= (async () => {
      for (const writer of this.#writers) writer.close();
      using _term = after(graceMs, () => this.#child.kill(SIG.TERM));
      using _kill = after(graceMs + termGraceMs, () => this.#child.kill(SIG.KILL));
      await this.#child.exited;
    })();
  }
}

/** Timeout of a logger's readiness. Milliseconds. */
const READY_TIMEOUT_MS = 10_000;
/**
 * Time between the end of a logger's input and SIGTERM, and from there to SIGKILL. Milliseconds.
 */
const END_GRACE_MS = 10_000, TERM_GRACE_MS = 2_000;

/** Output stream of a process. */
export type OutputKind = "stdout" | "stderr";
/** Descriptors of a logger: its two inputs, and the one that it closes when it is ready. */
const CHILD_FD: Readonly<Record<OutputKind | "ready", number>> = { stdout: 3, stderr: 4, ready: 5 };

/** Program and arguments in a logger's address. */
export interface LoggerCommand {
  readonly path: string;
  readonly args: readonly string[];
}

/**
 * Parses `binary:///path/to/logger?key=value&…`: each key and value is an argument, as with
 * containerd's own shim. Pure.
 *
 * @throws {RefusedError} `invalid` unless the path is absolute.
 */
export function loggerCommand(address: string): LoggerCommand {
  const bad = new RefusedError(
    "invalid",
    `stdio ${quoted(address)}`,
    "must name a program by its absolute path",
  );
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

function spawn(
  { path, args }: LoggerCommand,
  fds: Record<number, Fd>,
  env: Record<string, string>,
): Child {
  try {
    return Child.spawn({ path, args: [...args], fds, env });
  } catch (error) {
    throw new RefusedError(
      "invalid",
      `logger ${path}`,
      `cannot be started: ${messageOf(error)}`,
      undefined,
      { cause: error },
    );
  }
}

class LoggerTarget implements OutputTarget {
  /** The shim waits for a logger's exit, and a logger reads to the end. */
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
