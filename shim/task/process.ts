import type { ProcessIo } from "../stdio/process_io.ts";
import { assertLegal, next, type ProcessState, type StatefulCall } from "./process_state.ts";
import { TaskError } from "./task_error.ts";
import type { ProcessName } from "../stdio/process_name.ts";
import type { Exit } from "../guest_client/exit.ts";

/** One process of a container, its init or an exec, as the host knows it. */
export class Process {
  readonly name: ProcessName;
  readonly #io: Pick<
    ProcessIo,
    "start" | "closeStdin" | "drain" | "abandonOutput" | typeof Symbol.asyncDispose
  >;
  readonly #drainMs: number;
  readonly #stopped = Promise.withResolvers<Exit>();
  #state: ProcessState = { kind: "created" };
  #exiting: Promise<Exit> | null = null;
  #starting: Promise<unknown> | null = null;

  /** @param drainMs how long an exit waits for a stalled reader of output. */
  constructor(name: ProcessName, io: ProcessIo, drainMs: number) {
    this.name = name;
    this.#io = io;
    this.#drainMs = drainMs;
  }

  get isExec(): boolean {
    return this.name.execId !== "";
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** Whether it has run and exited. Its output may still be on the way. */
  get hasEnded(): boolean {
    return this.#exiting !== null || "exit" in this.#state;
  }

  /** Resolves with its exit, once its output is delivered and the exit is published. */
  get stopped(): Promise<Exit> {
    return this.#stopped.promise;
  }

  /** @throws TaskError if the state does not allow the call. */
  assertLegal(call: StatefulCall): void {
    assertLegal(this.#state, call, describe(this.name));
  }

  /**
   * Starts it. An exit that arrives meanwhile is reported after the start.
   *
   * @param start makes the guest start it.
   * @param tell publishes the start.
   */
  async start(start: () => Promise<void>, tell: () => void): Promise<void> {
    this.assertLegal("start");
    if (this.#starting !== null) {
      const message = `cannot start ${describe(this.name)}: it is being started`;
      throw new TaskError("precondition", message);
    }
    const starting = (async () => {
      await start();
      this.#state = next(this.#state, { kind: "started" });
      this.#io.start();
      tell();
    })();
    this.#starting = starting.catch(() => {});
    try {
      await starting;
    } finally {
      this.#starting = null;
    }
  }

  /** Notes that the container was paused or resumed. Returns false if it has exited meanwhile. */
  note(kind: "paused" | "resumed"): boolean {
    this.#state = next(this.#state, { kind });
    return this.#state.kind === (kind === "paused" ? "paused" : "running");
  }

  /**
   * Notes its exit, as reported by the guest or, when the VM is gone, by the shim itself. Resolves
   * when its output is delivered and the exit may be published; null: it was published before, or
   * the process never ran.
   *
   * @param others what has to be published before.
   */
  async exit(exit: Exit, others?: Promise<unknown>): Promise<Exit | null> {
    if (this.#starting !== null) await this.#starting;
    if (this.hasEnded) return null;
    // A created init is a process already, an added exec is not.
    if (this.isExec && this.#state.kind === "created") return null;
    this.#exiting = (async () => {
      await Promise.all([this.#io.drain(this.#drainMs), others]);
      this.#state = next(this.#state, { kind: "exited", exit });
      return exit;
    })();
    return await this.#exiting;
  }

  /** Lets waiters for the exit go on. Call it once the exit has been published. */
  announce(exit: Exit): void {
    this.#stopped.resolve(exit);
  }

  /** Drops output that was not delivered by now. */
  abandonOutput(): void {
    this.#io.abandonOutput();
  }

  closeStdin(): void {
    this.assertLegal("close-io");
    this.#io.closeStdin();
  }

  /** @throws TaskError if it runs, is being started, or is deleted already. */
  assertDeletable(): void {
    this.assertLegal("delete");
    if (this.#starting === null) return;
    const message = `cannot delete ${describe(this.name)}: it is being started`;
    throw new TaskError("precondition", message);
  }

  /**
   * Marks it deleted and returns its exit. An exit on its way is published before. Output that was
   * not delivered by now is lost.
   */
  async delete(): Promise<Exit> {
    const released = this.#io[Symbol.asyncDispose]();
    if (this.#exiting !== null) await this.stopped;
    await released;
    this.#state = next(this.#state, { kind: "deleted" });
    const exit = "exit" in this.#state ? this.#state.exit : { status: 0, at: new Date() };
    this.#stopped.resolve(exit);
    return exit;
  }
}

/** Names a process in messages. */
export function describe({ id, execId }: Pick<ProcessName, "id" | "execId">): string {
  return execId === "" ? `container ${id}` : `process ${execId} of container ${id}`;
}
