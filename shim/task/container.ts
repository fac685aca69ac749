import { Code, RpcError } from "../../proto/mod.ts";
import type { VmSize } from "../../qemu/mod.ts";
import { Process } from "./process.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { CreateRequest } from "../plan/create_request.ts";

/** One container of a sandbox, as the host knows it: its init and any number of execs. */
export class Container {
  readonly request: CreateRequest;
  readonly init: Process;
  /** Of the VM that it lives in. */
  readonly size: VmSize;
  readonly #execs = new Map<string, Process>();
  /** Ids of execs that are being added. */
  readonly #reserved = new Set<string>();
  readonly #drainMs: number;
  /** What it has of a VM that others live in; null: the VM is its own. */
  readonly #membership: AsyncDisposable | null;
  readonly #occupied = new Set<Promise<unknown>>();

  /** @param drainMs how long an exit waits for a reader of output that takes nothing. */
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

  /** The init for an empty id. @throws RpcError NotFound. */
  process(execId: string): Process {
    const process = execId === "" ? this.init : this.#execs.get(execId);
    if (process === undefined) {
      throw new RpcError(Code.NotFound, `no process ${execId} in container ${this.id}`);
    }
    return process;
  }

  /**
   * Keeps an exec's id from being taken twice while it is added.
   * @throws RpcError AlreadyExists.
   */
  reserve(execId: string): Disposable {
    if (this.#execs.has(execId) || this.#reserved.has(execId)) {
      throw new RpcError(
        Code.AlreadyExists,
        `process ${execId} of container ${this.id} already exists`,
      );
    }
    this.#reserved.add(execId);
    return { [Symbol.dispose]: () => void this.#reserved.delete(execId) };
  }

  /** Does something during which its VM may not end. */
  async occupy(work: () => Promise<void>): Promise<void> {
    const working = work();
    const done = working.catch(() => {}).finally(() => this.#occupied.delete(done));
    this.#occupied.add(done);
    await working;
  }

  /** Resolves when nothing occupies it. */
  async unoccupied(): Promise<void> {
    await Promise.all(this.#occupied);
  }

  /** Lets go of what it has of a VM that goes on. */
  async leave(): Promise<void> {
    await this.#membership?.[Symbol.asyncDispose]();
  }

  addExec(name: Process["name"], io: ProcessIo): void {
    this.#execs.set(name.execId, new Process(name, io, this.#drainMs));
  }

  removeExec(execId: string): void {
    this.#execs.delete(execId);
  }

  /** Lets go of execs that nobody deleted; whoever waits for one that never ran is told. */
  async deleteExecs(): Promise<void> {
    const execs = this.execs;
    this.#execs.clear();
    await Promise.all(execs.map((exec) => exec.delete()));
  }
}
