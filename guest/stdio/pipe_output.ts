import { type Fd, isSystemError, MANY_BYTES, type Poller, type System } from "../../ffi/mod.ts";

/** Size of {@linkcode DISCARD}'s buffer. */
const DISCARDED_BYTES_MAX = 4_096;

/** Discards output. */
export const DISCARD: OutputSink = {
  space: new Uint8Array(DISCARDED_BYTES_MAX),
  send: () => Promise.resolve(),
  end: () => Promise.resolve(),
};

/**
 * Copies a process's output from `fd` to `sink`, and ends the sink. `fd` is the read end of a pipe,
 * or a terminal's master; non-blocking, and the caller's to close.
 *
 * Until `exited` aborts it reads to the end of file. Afterwards all output of the process is in the
 * pipe, and it reads until the pipe is empty: another process with the write end must not keep the
 * stream open. If the sink fails, the rest of the output is discarded: a reader that went away must
 * not block the process.
 *
 * @throws the error of `sink`, at the end
 */
export async function copyOutput(
  system: System,
  poller: Poller,
  fd: Fd,
  sink: OutputSink,
  exited: AbortSignal,
): Promise<void> {
  const buffer = sink.space;
  let lost: { reason: unknown } | null = null;
  let isBusy = false;
  for (;;) {
    const finalRound = exited.aborted; // before the read: earlier output is in the pipe
    const bytes = readSome(system, fd, buffer);
    if (bytes === 0) break;
    if (bytes !== null && lost === null) {
      lost = await sink.send(bytes).then(() => null, (reason) => ({ reason }));
      isBusy = bytes >= MANY_BYTES;
      continue;
    }
    if (bytes === null && finalRound) break;
    // After discarded output as well: it may be endless, and others need their turn.
    await readable(poller, fd, exited, isBusy);
    isBusy = false;
  }
  if (lost !== null) throw lost.reason;
  await sink.end();
}

/** The destination of output: a `FrameWriter`, or a test's stand-in. */
export interface OutputSink {
  /** Buffer for the next bytes, sent without a copy. Its length limits a read. */
  readonly space: Uint8Array;
  /** Sends the first `bytes` of `space`. */
  send(bytes: number): Promise<void>;
  end(): Promise<void>;
}

/** Returns the number of bytes read; 0 at the end, null if there are none yet. */
function readSome(system: System, fd: Fd, into: Uint8Array): number | null {
  try {
    return system.read(fd, into);
  } catch (error) {
    // A terminal that no process has open. All earlier output is read before this error.
    if (isSystemError(error, "EIO")) return 0;
    throw error;
  }
}

async function readable(
  poller: Poller,
  fd: Fd,
  exited: AbortSignal,
  soon: boolean,
): Promise<void> {
  try {
    await poller.wait(fd, "readable", exited, soon);
  } catch (error) {
    if (!exited.aborted) throw error;
  }
}
