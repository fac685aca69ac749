import { Code, RpcError } from "../../proto/mod.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { assertLegal, next, type ProcessState, type StatefulCall } from "./process_state.ts";
import type { ProcessName } from "../stdio/process_name.ts";
import type { Exit } from "../guest_client/exit.ts";

/** One process of a container, its init or an exec, as the host knows it. */
export class Process {
  readonly name: ProcessName;
  readonly #io: Pick<ProcessIo, "start" | "closeStdin" | "drain" | typeof Symbol.asyncDispose>;
  readonly #drainMs: number;
  readonly #stopped = Promise.withResolvers<Exit>();
  #state: ProcessState = { kind: "created" };
  #exiting: Promise<Exit> | null = null;
  #starting: Promise<unknown> | null = null;

  /** @param drainMs how long an exit waits for a reader of output that takes nothing. */
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

  /** Whether it has run and ended; its output may still be on the way. */
  get hasEnded(): boolean {
    return this.#exiting !== null || "exit" in this.#state;
  }

  /** How it ended, once its output is delivered and its exit told. */
  get stopped(): Promise<Exit> {
    return this.#stopped.promise;
  }

  /** @throws RpcError when the state does not allow the call. */
  assertLegal(call: StatefulCall): void {
    assertLegal(this.#state, call, describe(this.name));
  }

  /**
   * Starts it; an exit that comes in the meantime is reported after it.
   * @param start makes the guest start it.
   * @param tell publishes that it has started.
   */
  async start(start: () => Promise<void>, tell: () => void): Promise<void> {
    this.assertLegal("start");
    if (this.#starting !== null) {
      const what = describe(this.name);
      throw new RpcError(Code.FailedPrecondition, `cannot start ${what}: it is being started`);
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

  /** Notes that the container was paused, or resumed; false when it has ended in the meantime. */
  note(kind: "paused" | "resumed"): boolean {
    this.#state = next(this.#state, { kind });
    return this.#state.kind === (kind === "paused" ? "paused" : "running");
  }

  /**
   * It has ended, says the guest or, when the VM is gone, the shim itself. Resolves when its output
   * is delivered and the exit may be told; null when it was told before, or never ran.
   * @param others what has to be told before.
   */
  async exit(exit: Exit, others?: Promise<unknown>): Promise<Exit | null> {
    if (this.#starting !== null) await this.#starting;
    if (this.hasEnded) return null;
    // An init that was created is a process already, an exec is not.
    if (this.isExec && this.#state.kind === "created") return null;
    this.#exiting = (async () => {
      await Promise.all([this.#io.drain(this.#drainMs), others]);
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

  /** @throws RpcError when it runs, is about to, or is deleted already. */
  assertDeletable(): void {
    this.assertLegal("delete");
    if (this.#starting === null) return;
    const what = describe(this.name);
    throw new RpcError(Code.FailedPrecondition, `cannot delete ${what}: it is being started`);
  }

  /**
   * Marks it deleted and returns how it had ended. An exit that is under way is told before; output
   * that was not delivered by now is lost.
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

/** As messages name it. */
export function describe({ id, execId }: Pick<ProcessName, "id" | "execId">): string {
  return execId === "" ? `container ${id}` : `process ${execId} of container ${id}`;
}
