import {
  type ExitStatus,
  type Pid,
  type SpawnCommand,
  type System,
  SystemError,
} from "../../ffi/mod.ts";

/** Limit of exits of unknown processes in a {@linkcode Nursery}. */
const UNCLAIMED_EXITS_MAX = 4_096;

/** SIGCHLD as Deno delivers it: never within the current turn of the event loop. */
export function sigchld(onSignal: () => void): Disposable {
  Deno.addSignalListener("SIGCHLD", onSignal);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGCHLD", onSignal) };
}

/**
 * The only place that waits for children. PID 1 gets every exit in the guest: of its own children,
 * of the containers' init processes that crun leaves behind, and of orphans. Its children are
 * spawned by {@linkcode System.spawn} or adopted, never Deno's, so reaping any of them is safe.
 */
export class Reaper implements Disposable {
  readonly #system: System;
  readonly #signals: Disposable;
  readonly #known = new Map<
    Pid,
    { process: ReapedProcess; resolve: (status: ExitStatus) => void }
  >();
  readonly #nurseries = new Set<Map<Pid, ExitStatus>>();
  readonly #childless: (() => void)[] = [];

  constructor(system: System, signals: ChildSignals = sigchld) {
    this.#system = system;
    this.#signals = signals(() => this.collect());
  }

  /**
   * Starts a process. Its exit cannot be lost: nothing else runs between the fork and the
   * registration.
   *
   * @throws {SystemError} ENOENT or another errno of posix_spawn(3)
   */
  spawn(command: SpawnCommand): ReapedProcess {
    const pid = this.#system.spawn(command);
    return this.#register(pid);
  }

  /** Opens a {@linkcode Nursery}. Dispose it once the pid is claimed, or will not come. */
  openNursery(): Nursery {
    const exits = new Map<Pid, ExitStatus>();
    this.#nurseries.add(exits);
    return {
      claim: (pid) => {
        const status = exits.get(pid);
        if (status === undefined) {
          this.#system.kill(pid, 0); // the exit of a pid that does not exist would never come
          return this.#register(pid);
        }
        exits.delete(pid);
        return { pid, exited: Promise.resolve(status) };
      },
      [Symbol.dispose]: () => {
        this.#nurseries.delete(exits);
      },
    };
  }

  /**
   * Reaps every child that has exited. The kernel merges pending signals, so one call may stand for
   * many exits; an extra call is harmless.
   */
  collect(): void {
    for (;;) {
      const status = this.#next();
      if (status === null) return;
      const known = this.#known.get(status.pid);
      if (known !== undefined) {
        this.#known.delete(status.pid);
        known.resolve(status);
        continue;
      }
      for (const exits of this.#nurseries) remember(exits, status);
    }
  }

  /**
   * Signals `process` and returns true, or false if it has exited. Its pid cannot have been reused,
   * because only this reaper frees it.
   *
   * @throws {SystemError} EINVAL: no such signal
   */
  kill(process: ReapedProcess, signal: number): boolean {
    this.collect();
    if (this.#known.get(process.pid)?.process !== process) return false;
    this.#system.kill(process.pid, signal);
    return true;
  }

  /** Resolves when no child is left. */
  childless(): Promise<void> {
    return new Promise((resolve) => {
      this.#childless.push(resolve);
      this.collect();
    });
  }

  [Symbol.dispose](): void {
    this.#signals[Symbol.dispose]();
  }

  #register(pid: Pid): ReapedProcess {
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    const process = { pid, exited: promise };
    this.#known.set(pid, { process, resolve });
    return process;
  }

  #next(): ExitStatus | null {
    try {
      return this.#system.waitChild("any", {});
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "ECHILD") throw error;
      for (const resolve of this.#childless.splice(0)) resolve();
      return null;
    }
  }
}

/** A child process and its exit. */
export interface ReapedProcess {
  readonly pid: Pid;
  readonly exited: Promise<ExitStatus>;
}

/**
 * A period in which a process is created whose pid is learned later: crun forks the container's
 * init, writes its pid to a file and exits. The init may be dead by then, so the exits of unknown
 * processes are kept while the nursery is open. Not longer: pids are reused.
 */
export interface Nursery extends Disposable {
  /**
   * Takes over the process `pid`, now a child of PID 1, whether it has exited or not.
   *
   * @throws {SystemError} ESRCH: there is no such process, and no exit of one was kept
   */
  claim(pid: Pid): ReapedProcess;
}

/** Calls its argument at each SIGCHLD, or more often, until disposed. */
export type ChildSignals = (onSignal: () => void) => Disposable;

function remember(exits: Map<Pid, ExitStatus>, status: ExitStatus): void {
  const oldest = exits.keys().next();
  if (exits.size >= UNCLAIMED_EXITS_MAX && !oldest.done) exits.delete(oldest.value);
  exits.set(status.pid, status);
}
