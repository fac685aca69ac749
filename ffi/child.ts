import { delay } from "../base/mod.ts";
import type { FdStreamOptions } from "./fd_stream.ts";
import { SIG } from "./constants.ts";
import { Poller, poller as defaultPoller } from "./poller.ts";
import { system as realSystem } from "./real_system.ts";
import type { ExitStatus, Fd, Pid, SpawnCommand, System } from "./system.ts";
import { isSystemError } from "./system_error.ts";

/** Interval between two waits for a child that was killed because it has no pidfd. */
const REAP_RETRY_MS = 1;

/**
 * A child process, waited for through its pidfd, without SIGCHLD and without reaping other
 * children. It keeps the event loop alive until it has exited.
 */
export class Child {
  readonly pid: Pid;
  /** The exit status, once the child is reaped. Rejects with ECHILD if it was reaped elsewhere. */
  readonly exited: Promise<ExitStatus>;
  readonly #system: System;
  /** Undefined once the child is reaped: from then on `pid` may be another process's. */
  #pidfd: Fd | undefined;

  /**
   * Starts a command.
   *
   * @throws {SystemError} if it cannot be started or watched; nothing is left running then.
   */
  static spawn(command: SpawnCommand, options: ChildOptions = {}): Child {
    const system = options.system ?? realSystem;
    const pid = options.spawn?.(command) ?? system.spawn(command);
    try {
      return new Child(pid, system.pidfdOpen(pid), system, options.poller ?? defaultPoller);
    } catch (error) {
      void killAndReap(system, pid);
      throw error;
    }
  }

  private constructor(pid: Pid, pidfd: Fd, system: System, poller: Poller) {
    this.pid = pid;
    this.#pidfd = pidfd;
    this.#system = system;
    this.exited = this.#watch(pidfd, poller);
    // Callers that do not await `exited` are not interested in its failure.
    this.exited.catch(() => {});
  }

  /**
   * Sends a signal. Does nothing once the child is reaped.
   *
   * @throws {SystemError} EPERM, EINVAL.
   */
  kill(signal: number): void {
    if (this.#pidfd === undefined) return;
    try {
      this.#system.pidfdSendSignal(this.#pidfd, signal);
    } catch (error) {
      if (!isSystemError(error, "ESRCH")) throw error;
    }
  }

  async #watch(pidfd: Fd, poller: Poller): Promise<ExitStatus> {
    try {
      for (;;) {
        await poller.wait(pidfd, "readable");
        const status = this.#system.waitChild(this.pid);
        if (status !== null) return status;
      }
    } finally {
      this.#pidfd = undefined;
      poller.forget(pidfd);
      this.#system.close(pidfd);
    }
  }
}

/** Options of {@link Child.spawn}. */
export interface ChildOptions extends FdStreamOptions {
  /** Used instead of `System.spawn`, for a child in namespaces of its own. */
  readonly spawn?: (command: SpawnCommand) => Pid;
}

async function killAndReap(system: System, pid: Pid): Promise<void> {
  try {
    system.kill(pid, SIG.KILL);
    while (system.waitChild(pid) === null) {
      await delay(REAP_RETRY_MS);
    }
  } catch (error) {
    if (!isSystemError(error, "ECHILD", "ESRCH")) throw error;
  }
}
