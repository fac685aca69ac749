import { type ExitStatus, type Pid, type WindowSize } from "../../ffi/mod.ts";
import { Code, RpcError, type taskTypes } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";

/** A process as the task service sees it: a container's init, or an exec process. */
export interface Process {
  /** Empty for the init. */
  readonly execId: string;
  /** 0 while the process does not exist. */
  readonly pid: Pid | 0;
  readonly ids: StdioIds;
  readonly status: taskTypes.Status;
  /** Null before the exit. */
  readonly exit: ExitStatus | null;
  /** Resolves with the exit. */
  readonly exited: Promise<ExitStatus>;
  /** @throws {RpcError} FailedPrecondition, or crun's error */
  start(): Promise<Pid>;
  /**
   * Signals the process; with `all`, the whole container of an init.
   *
   * @throws {RpcError} NotFound: it has exited; FailedPrecondition; InvalidArgument: no such signal
   */
  kill(signal: number, all: boolean): Promise<void>;
  /** Ends stdin, unless the host has dialed it: then the end frame ends it, after the last byte. */
  closeStdin(): void;
  /**
   * Sets the window size of the process's terminal, if it has one.
   *
   * @throws {RpcError} FailedPrecondition: it has exited
   */
  resize(size: WindowSize): void;
}

/** Returns the error of a signal to an exited process, in the words that clients recognize. */
export function alreadyFinished(): RpcError {
  return new RpcError(Code.NotFound, "process already finished");
}

/** Limit of rows and of columns: a window size has 16 bits for each (ioctl_tty(2)). */
const WINDOW_SIDE_MAX = 65_535;

/** @throws {RpcError} InvalidArgument: larger than a terminal can be */
export function windowSize(width: number, height: number): WindowSize {
  if (width > WINDOW_SIDE_MAX || height > WINDOW_SIDE_MAX) {
    throw invalid(`terminal size ${width} × ${height} exceeds ${WINDOW_SIDE_MAX} characters`);
  }
  return { rows: height, columns: width };
}

/** @throws {RpcError} InvalidArgument: Linux has no such signal */
export function checkSignal(signal: number): void {
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw invalid(`no such signal: ${signal}`);
  }
}
