import type { CreateRequest } from "./create_plan.ts";
import type { ProcessIo } from "./process_io.ts";
import {
  assertLegal,
  type Exit,
  next,
  type ProcessState,
  type StatefulCall,
} from "./process_state.ts";

/** One container of a sandbox, as the host knows it. */
export class Container {
  readonly request: CreateRequest;
  readonly #io: ProcessIo;
  readonly #drainMs: number;
  readonly #stopped = Promise.withResolvers<Exit>();
  #state: ProcessState = { kind: "created" };
  #exiting: Promise<Exit> | null = null;
  #starting: Promise<unknown> = Promise.resolve();

  /** @param drainMs how long an exit waits for a reader of output that takes nothing. */
  constructor(request: CreateRequest, io: ProcessIo, drainMs: number) {
    this.request = request;
    this.#io = io;
    this.#drainMs = drainMs;
  }

  get id(): string {
    return this.request.id;
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** How it ended, once its output is delivered. */
  get stopped(): Promise<Exit> {
    return this.#stopped.promise;
  }

  /** @throws RpcError when the state does not allow the call. */
  assertLegal(call: StatefulCall): void {
    assertLegal(this.#state, call, `container ${this.id}`);
  }

  /**
   * Starts it; an exit that comes in the meantime is reported after it.
   * @param start makes the guest start it.
   */
  async start(start: () => Promise<void>): Promise<void> {
    this.assertLegal("start");
    const started = start();
    this.#starting = started.catch(() => {});
    await started;
    this.#state = next(this.#state, { kind: "started" });
    this.#io.start();
  }

  /**
   * Its init has ended, says the guest or, when the VM is gone, the shim itself. Resolves when its
   * output is delivered and the exit may be told; null when it was told before.
   */
  async exit(exit: Exit): Promise<Exit | null> {
    if (this.#exiting !== null) return null;
    this.#exiting = (async () => {
      await this.#starting;
      await this.#io.drain(this.#drainMs);
      this.#state = next(this.#state, { kind: "exited", exit });
      return exit;
    })();
    return await this.#exiting;
  }

  /** Lets those who wait for the end go on; to be called once the exit has been published. */
  announce(exit: Exit): void {
    this.#stopped.resolve(exit);
  }

  closeStdin(): void {
    this.assertLegal("close-io");
    this.#io.closeStdin();
  }

  /**
   * Marks it deleted and returns how it had ended. An exit that is under way is told before; output
   * that was not delivered by now is lost.
   */
  async delete(): Promise<Exit> {
    this.#io[Symbol.dispose]();
    if (this.#exiting !== null) await this.stopped;
    this.#state = next(this.#state, { kind: "deleted" });
    const exit = this.#state.kind === "deleted" ? this.#state.exit : { status: 0, at: new Date() };
    this.#stopped.resolve(exit);
    return exit;
  }
}
