import { type ExitStatus, type Pid } from "../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../proto/mod.ts";
import { type StdioIds } from "./process_stdio.ts";

/** What the task service does with a process: a container's init, or one that an exec added. */
export interface Process {
  /** Empty for the init. */
  readonly execId: string;
  /** 0 while there is none. */
  readonly pid: Pid | 0;
  readonly ids: StdioIds;
  readonly status: taskTypes.Status;
  /** How it ended; null before. */
  readonly exit: ExitStatus | null;
  /** How it ended, or will have ended. */
  readonly exited: Promise<ExitStatus>;
  /** @throws {RpcError} FailedPrecondition, what crun says */
  start(): Promise<Pid>;
  /**
   * Signals it; with `all` an init's whole container.
   *
   * @throws {RpcError} NotFound: it has ended; FailedPrecondition; InvalidArgument: no such signal
   */
  kill(signal: number, all: boolean): Promise<void>;
  /** Ends its stdin, unless the host has dialed it: then the end frame does, behind the last byte. */
  closeStdin(): void;
}

/** The error for a signal to a process that has ended; containerd's clients know the words. */
export function alreadyFinished(): RpcError {
  return new RpcError(Code.NotFound, "process already finished");
}

/** @throws {RpcError} InvalidArgument: Linux has no such signal */
export function checkSignal(signal: number): void {
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw new RpcError(Code.InvalidArgument, `no such signal: ${signal}`);
  }
}
