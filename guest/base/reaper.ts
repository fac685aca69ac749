import {
  type ExitStatus,
  type Pid,
  type SpawnCommand,
  type System,
  SystemError,
} from "../../ffi/mod.ts";

/** Most exits of unknown processes that one {@linkcode Nursery} remembers. */
const UNCLAIMED_EXITS_MAX = 4_096;

/** A process of ours, and how it will have ended. */
export interface ReapedProcess {
  readonly pid: Pid;
  readonly exited: Promise<ExitStatus>;
}

/**
 * A stretch of time in which a process is born whose pid is learned later: crun forks the container's
 * init, writes its pid to a file and ends. The init may well be dead by then, so that the exits of
 * unknown processes are kept as long as the nursery is open. Not longer: pids are used again.
 */
export interface Nursery extends Disposable {
  /**
   * Takes over the process `pid`, a child of ours now, whether it has ended or not.
   *
   * @throws {SystemError} ESRCH: no such process, and no exit of one is remembered
   */
  claim(pid: Pid): ReapedProcess;
}

/** Calls its argument at each SIGCHLD (or more often) until it is disposed. */
export type ChildSignals = (onSignal: () => void) => Disposable;

/** SIGCHLD as Deno delivers it: never before this turn of the event loop is over. */
export function sigchld(onSignal: () => void): Disposable {
  Deno.addSignalListener("SIGCHLD", onSignal);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGCHLD", onSignal) };
}

/**
 * The one place that waits for children. PID 1 gets the exit of everything in the guest: its own
 * children, the containers' init processes that crun leaves behind, and orphans. All are children made
 * by {@linkcode System.spawn} or adopted, none is Deno's, so that taking any of them is safe.
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
   * Starts a process. Nothing can be lost: between the fork and the registration nobody else runs.
   *
   * @throws {SystemError} ENOENT and whatever else posix_spawn(3) says
   */
  spawn(command: SpawnCommand): ReapedProcess {
    const pid = this.#system.spawn(command);
    return this.#register(pid);
  }

  /** Opens a {@linkcode Nursery}. Dispose it when the pid was claimed or there will be none. */
  openNursery(): Nursery {
    const exits = new Map<Pid, ExitStatus>();
    this.#nurseries.add(exits);
    return {
      claim: (pid) => {
        const status = exits.get(pid);
        if (status === undefined) {
          this.#system.kill(pid, 0); // a pid that is nobody's would never be collected
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
   * Takes every child that has ended. Signals of one kind are merged while they are pending, so that
   * one call may stand for many exits; a call too many does no harm.
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
   * Signals `process`, unless it has ended: false then. Its pid cannot have gone to somebody else,
   * because nobody but this reaper would free it.
   *
   * @throws {SystemError} EINVAL: no such signal
   */
  kill(process: ReapedProcess, signal: number): boolean {
    this.collect();
    if (this.#known.get(process.pid)?.process !== process) return false;
    this.#system.kill(process.pid, signal);
    return true;
  }

  /** Resolves when there is no child left at all. */
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

function remember(exits: Map<Pid, ExitStatus>, status: ExitStatus): void {
  const oldest = exits.keys().next();
  if (exits.size >= UNCLAIMED_EXITS_MAX && !oldest.done) exits.delete(oldest.value);
  exits.set(status.pid, status);
}
