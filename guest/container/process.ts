import { type ExitStatus, type Pid, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../../proto/mod.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";

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
  /**
   * Sets the window size of its terminal; nothing happens when it has none.
   *
   * @throws {RpcError} FailedPrecondition: it has ended
   */
  resize(size: WindowSize): void;
}

/** The error for a signal to a process that has ended; containerd's clients know the words. */
export function alreadyFinished(): RpcError {
  return new RpcError(Code.NotFound, "process already finished");
}

/** The largest number of rows or columns: a window size has 16 bits for each (ioctl_tty(2)). */
const WINDOW_SIDE_MAX = 65_535;

/** @throws {RpcError} InvalidArgument: no terminal can be that large */
export function windowSize(width: number, height: number): WindowSize {
  if (width > WINDOW_SIDE_MAX || height > WINDOW_SIDE_MAX) {
    throw new RpcError(Code.InvalidArgument, `no terminal has ${width} × ${height} characters`);
  }
  return { rows: height, columns: width };
}

/** @throws {RpcError} InvalidArgument: Linux has no such signal */
export function checkSignal(signal: number): void {
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw new RpcError(Code.InvalidArgument, `no such signal: ${signal}`);
  }
}
