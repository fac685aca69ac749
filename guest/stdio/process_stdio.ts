import type { WindowSize } from "../../ffi/mod.ts";
import type { CrunStdio } from "../runtime/crun.ts";

/** The guest's side of a process's stdin, stdout and stderr. */
export interface ProcessStdio extends CrunStdio, Disposable {
  /**
   * To be called when crun has created the process.
   *
   * @throws {RpcError} Internal: crun sent no terminal
   */
  created(): void;
  /** To be called at the exit: delivers the remaining output, then ends the streams. Idempotent. */
  exited(): void;
  /**
   * Ends stdin, unless the host has dialed it: then its end frame does, after the last byte. The
   * stdin of a terminal does not end.
   */
  closeInput(): void;
  /** Sets the window size of the terminal, even before it exists. Without one it does nothing. */
  resize(size: WindowSize): void;
  /** Ends everything. Output that was not delivered is lost. */
  [Symbol.dispose](): void;
}

/** The stream ids of a process. An empty id means no stream: the process gets /dev/null. */
export interface StdioIds {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether all three are one terminal; stderr is empty then. */
  readonly terminal: boolean;
}
