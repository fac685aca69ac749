import { type Fd, type System, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type CrunStdio } from "../runtime/crun.ts";
import { checkedStreamId } from "../base/ids.ts";
import { InputEndpoint, OutputEndpoint, type StdioDependencies } from "./stdio_endpoint.ts";
import { TerminalStdio } from "./terminal_stdio.ts";

/**
 * What a process can write while vminitd does something else: four times what Linux gives a pipe, and what
 * vminitd takes at once. At each end of an empty pipe it has to be woken.
 */
const OUTPUT_PIPE_BYTES = 262_144;

/** Which streams a process has. Empty: none, it gets /dev/null. */
export interface StdioIds {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether all three are one terminal; there is no stderr then. */
  readonly terminal: boolean;
}

/** The guest's side of a process's stdin, stdout and stderr. */
export interface ProcessStdio extends CrunStdio, Disposable {
  /**
   * crun has made the process.
   *
   * @throws {RpcError} Internal: its terminal did not come
   */
  created(): void;
  /** The process is gone: what it wrote is delivered, then the streams end. Idempotent. */
  exited(): void;
  /**
   * Ends stdin, unless the host has dialed it: then its end frame does, behind the last byte. A
   * terminal's does not end.
   */
  closeInput(): void;
  /** Sets the window size of a terminal, also of one to come. Nothing happens without one. */
  resize(size: WindowSize): void;
  /** Ends everything. What is not delivered yet is lost. */
  [Symbol.dispose](): void;
}

/**
 * Makes pipes, or what takes a terminal. The host can dial the ids from now on.
 *
 * @param consolePath where a socket for a terminal may be made
 * @throws {RpcError} AlreadyExists: an id is in use; InvalidArgument: it can be none
 */
export function openStdio(
  dependencies: StdioDependencies,
  ids: StdioIds,
  consolePath: () => string,
): ProcessStdio {
  for (const id of [ids.stdin, ids.stdout, ids.stderr]) if (id !== "") checkedStreamId(id);
  if (!ids.terminal) return new PipeStdio(dependencies, ids);
  if (ids.stderr !== "") {
    throw new RpcError(Code.InvalidArgument, "a process with a terminal has no stderr of its own");
  }
  return new TerminalStdio(dependencies, ids, consolePath());
}

/**
 * The pipes of one process, each waiting for the host to dial it.
 *
 * Output that nobody has dialed stays in its pipe, also after the exit, until this is disposed.
 */
export class PipeStdio implements ProcessStdio {
  readonly childFds: Readonly<Record<number, Fd | "null">>;
  readonly consoleSocket = null;

  readonly #system: System;
  readonly #childEnds: Fd[];
  /** Until crun has made the process: what is in these pipes before is crun's own complaint. */
  readonly #heldBack: { readonly endpoint: OutputEndpoint; readonly fd: Fd }[];
  readonly #endpoints: Disposable[];
  readonly #input: InputEndpoint | null;
  readonly #exited = new AbortController();

  /** @throws {RpcError} AlreadyExists: an id is in use */
  constructor(dependencies: StdioDependencies, ids: Omit<StdioIds, "terminal">) {
    using stack = new DisposableStack();
    const exited = this.#exited.signal;
    const childFds: Record<number, Fd | "null"> = { 0: "null", 1: "null", 2: "null" };
    const childEnds = stack.adopt([] as Fd[], (fds) => {
      for (const fd of fds) dependencies.system.close(fd);
    });
    const heldBack = stack.adopt([] as { endpoint: OutputEndpoint; fd: Fd }[], (all) => {
      for (const { fd } of all) dependencies.system.close(fd);
    });
    const endpoints: Disposable[] = [];
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
      dependencies.system.setPipeCapacity(pipe.read, OUTPUT_PIPE_BYTES);
      childFds[number] = pipe.write;
      childEnds.push(pipe.write);
      using read = new DisposableStack();
      read.defer(() => dependencies.system.close(pipe.read));
      const endpoint = stack.use(new OutputEndpoint(dependencies, id, null, exited));
      read.move();
      heldBack.push({ endpoint, fd: pipe.read });
      endpoints.push(endpoint);
    }

    this.#system = dependencies.system;
    this.childFds = childFds;
    this.#childEnds = childEnds;
    this.#heldBack = heldBack;
    this.#endpoints = endpoints;
    this.#input = input;
    stack.move();
  }

  /** Closes the process's ends here, once it has its own: else no pipe would ever come to an end. */
  closeChildEnds(): void {
    for (const fd of this.#childEnds.splice(0)) this.#system.close(fd);
  }

  created(): void {
    for (const { endpoint, fd } of this.#heldBack.splice(0)) endpoint.provide(fd);
  }

  exited(): void {
    this.#dropHeldBack();
    this.#exited.abort();
  }

  closeInput(): void {
    this.#input?.closeUndialed();
  }

  resize(): void {}

  #dropHeldBack(): void {
    for (const { fd } of this.#heldBack.splice(0)) this.#system.close(fd);
  }

  [Symbol.dispose](): void {
    this.exited();
    this.closeChildEnds();
    for (const endpoint of this.#endpoints) endpoint[Symbol.dispose]();
  }
}
