import { type Fd, type System } from "../../ffi/mod.ts";
import type { ProcessStdio, StdioIds } from "./process_stdio.ts";
import { InputEndpoint, OutputEndpoint, type StdioDeps } from "./stdio_endpoint.ts";

/**
 * Capacity of an output pipe, which is how much a process can write while vminitd does something
 * else: four times Linux's default, and as much as vminitd takes at once. At a full or an empty
 * pipe one side sleeps and has to be woken.
 */
const OUTPUT_PIPE_BYTES = 262_144;

/**
 * The pipes of one process, each waiting for the host to dial it.
 *
 * Output that nobody has dialed stays in its pipe, even after the exit, until this is disposed.
 */
export class PipeStdio implements ProcessStdio {
  readonly childFds: Readonly<Record<number, Fd | "null">>;
  readonly consoleSocket = null;

  readonly #system: System;
  readonly #childEnds: Fd[];
  /**
   * Until crun has created the process: earlier output in these pipes is crun's own error message.
   */
  readonly #heldBack: { readonly endpoint: OutputEndpoint; readonly fd: Fd }[];
  readonly #endpoints: Disposable[];
  readonly #input: InputEndpoint | null;
  readonly #exited = new AbortController();

  /** @throws {RpcError} AlreadyExists: an id is in use */
  constructor(deps: StdioDeps, ids: Omit<StdioIds, "terminal">) {
    using stack = new DisposableStack();
    const { system } = deps;
    const exited = this.#exited.signal;
    const childFds: Record<number, Fd | "null"> = { 0: "null", 1: "null", 2: "null" };
    const childEnds = stack.adopt([] as Fd[], (fds) => {
      for (const fd of fds) system.close(fd);
    });
    const heldBack = stack.adopt([] as { endpoint: OutputEndpoint; fd: Fd }[], (all) => {
      for (const { fd } of all) system.close(fd);
    });
    const endpoints: Disposable[] = [];
    let input: InputEndpoint | null = null;

    if (ids.stdin !== "") {
      const pipe = system.pipe({ nonblock: "write" });
      childFds[0] = pipe.read;
      childEnds.push(pipe.read);
      input = stack.use(new InputEndpoint(deps, ids.stdin, pipe.write, exited));
      endpoints.push(input);
    }
    for (const [number, id] of [[1, ids.stdout], [2, ids.stderr]] as const) {
      if (id === "") continue;
      const pipe = system.pipe({ nonblock: "read" });
      system.setPipeCapacity(pipe.read, OUTPUT_PIPE_BYTES);
      childFds[number] = pipe.write;
      childEnds.push(pipe.write);
      using read = new DisposableStack();
      read.defer(() => system.close(pipe.read));
      const endpoint = stack.use(new OutputEndpoint(deps, id, null, exited));
      read.move();
      heldBack.push({ endpoint, fd: pipe.read });
      endpoints.push(endpoint);
    }

    this.#system = system;
    this.childFds = childFds;
    this.#childEnds = childEnds;
    this.#heldBack = heldBack;
    this.#endpoints = endpoints;
    this.#input = input;
    stack.move();
  }

  /** Closes vminitd's copies of the process's ends; otherwise no pipe would ever reach its end. */
  closeChildEnds(): void {
    for (const fd of this.#childEnds.splice(0)) this.#system.close(fd);
  }

  created(): void {
    for (const { endpoint, fd } of this.#heldBack.splice(0)) endpoint.provide(fd);
  }

  exited(): void {
    for (const { fd } of this.#heldBack.splice(0)) this.#system.close(fd);
    this.#exited.abort();
  }

  closeInput(): void {
    this.#input?.closeUndialed();
  }

  resize(): void {}

  [Symbol.dispose](): void {
    this.exited();
    this.closeChildEnds();
    for (const endpoint of this.#endpoints) endpoint[Symbol.dispose]();
  }
}
