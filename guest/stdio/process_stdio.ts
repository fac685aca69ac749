import type { WindowSize } from "../../ffi/mod.ts";
import type { CrunStdio } from "../runtime/crun.ts";

/** Which streams a process has. Empty: none, it gets /dev/null. */
export interface StdioIds {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether all three are one terminal; there is no stderr then. */
  readonly terminal: boolean;
}

/** The guest's side of a process's stdin, stdout and stderr. */
export interface ProcessStdio extends CrunStdio, Disposable {
  /**
   * crun has made the process.
   *
   * @throws {RpcError} Internal: its terminal did not come
   */
  created(): void;
  /** The process is gone: what it wrote is delivered, then the streams end. Idempotent. */
  exited(): void;
  /**
   * Ends stdin, unless the host has dialed it: then its end frame does, behind the last byte. A
   * terminal's does not end.
   */
  closeInput(): void;
  /** Sets the window size of a terminal, also of one to come. Nothing happens without one. */
  resize(size: WindowSize): void;
  /** Ends everything. What is not delivered yet is lost. */
  [Symbol.dispose](): void;
}
