import type { VmSize } from "../../qemu/mod.ts";
import { Process } from "./process.ts";
import { TaskError } from "./task_error.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { CreateRequest } from "../plan/create_request.ts";

/** One container of a sandbox, as the host knows it: its init and any number of execs. */
export class Container {
  readonly request: CreateRequest;
  readonly init: Process;
  /** Size of the VM that it lives in. */
  readonly size: VmSize;
  readonly #execs = new Map<string, Process>();
  /** Ids of exec processes that are being added. */
  readonly #reserved = new Set<string>();
  readonly #drainMs: number;
  /** What it has of a VM that others live in; null: the VM is its own. */
  readonly #membership: AsyncDisposable | null;
  readonly #occupied = new Set<Promise<unknown>>();
  readonly #givenUp = new AbortController();

  /** @param drainMs how long an exit waits for a stalled reader of output. */
  constructor(
    request: CreateRequest,
    { io, size, membership = null }: {
      readonly io: ProcessIo;
      readonly size: VmSize;
      readonly membership?: AsyncDisposable | null;
    },
    drainMs: number,
  ) {
    this.#membership = membership;
    this.request = request;
    this.size = size;
    this.init = new Process({ ...request, execId: "" }, io, drainMs);
    this.#drainMs = drainMs;
  }

  get id(): string {
    return this.request.id;
  }

  get execs(): readonly Process[] {
    return [...this.#execs.values()];
  }

  /** Returns an exec process; undefined if there is none of this id. */
  exec(execId: string): Process | undefined {
    return this.#execs.get(execId);
  }

  /** Returns the init for an empty id. @throws TaskError `not-found` */
  process(execId: string): Process {
    const process = execId === "" ? this.init : this.#execs.get(execId);
    if (process === undefined) {
      throw new TaskError("not-found", `no process ${execId} in container ${this.id}`);
    }
    return process;
  }

  /**
   * Keeps an exec's id from being taken twice while it is added.
   *
   * @throws TaskError `already-exists`
   */
  reserve(execId: string): Disposable {
    if (this.#execs.has(execId) || this.#reserved.has(execId)) {
      const message = `process ${execId} of container ${this.id} already exists`;
      throw new TaskError("already-exists", message);
    }
    this.#reserved.add(execId);
    return { [Symbol.dispose]: () => void this.#reserved.delete(execId) };
  }

  /** Runs `work`, during which its VM must not end. The signal aborts when it is given up. */
  async occupy(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const working = work(this.#givenUp.signal);
    const done = working.catch(() => {}).finally(() => this.#occupied.delete(done));
    this.#occupied.add(done);
    await working;
  }

  /** Resolves when no such work is running. */
  async unoccupied(): Promise<void> {
    await Promise.all(this.#occupied);
  }

  /** Gives up what delays its exit and its deletion: undelivered output, and work in the guest. */
  giveUp(reason: Error): void {
    this.#givenUp.abort(reason);
    for (const process of [this.init, ...this.execs]) process.abandonOutput();
  }

  /** Releases what it has of a VM that goes on. */
  async leave(): Promise<void> {
    await this.#membership?.[Symbol.asyncDispose]();
  }

  addExec(name: Process["name"], io: ProcessIo): void {
    this.#execs.set(name.execId, new Process(name, io, this.#drainMs));
  }

  removeExec(execId: string): void {
    this.#execs.delete(execId);
  }

  /** Releases exec processes that nobody deleted. Waiters for one that never ran get its exit. */
  async deleteExecs(): Promise<void> {
    const execs = this.execs;
    this.#execs.clear();
    await Promise.all(execs.map((exec) => exec.delete()));
  }
}
