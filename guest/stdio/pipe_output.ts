import { type Fd, isSystemError, MANY_BYTES, type Poller, type System } from "../../ffi/mod.ts";

/** Where output goes: a `FrameWriter`, or a test's stand-in. */
export interface OutputSink {
  /** Where the next bytes may be put, to be sent without a copy. Its length is the most of a read. */
  readonly space: Uint8Array;
  /** Sends the first `bytes` of `space`. */
  send(bytes: number): Promise<void>;
  end(): Promise<void>;
}

/** Most bytes that {@linkcode DISCARD} takes at once. */
const DISCARDED_BYTES_MAX = 4_096;

/** Where output goes that nobody wants. */
export const DISCARD: OutputSink = {
  space: new Uint8Array(DISCARDED_BYTES_MAX),
  send: () => Promise.resolve(),
  end: () => Promise.resolve(),
};

/**
 * Copies what a process writes into the pipe `fd` (its read end, or a terminal's master; non-blocking;
 * stays the caller's) to `sink`, and ends the sink.
 *
 * Until `exited` aborts it reads to the end of file. Afterwards the process can write no more and all
 * that it wrote is in the pipe: then it reads until the pipe is empty, since a stranger that got hold
 * of the write end must not keep the stream open. A sink that fails is given up, and the rest of the
 * output is thrown away: a reader that went away must not block the process.
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
    const finalRound = exited.aborted; // before the read: what it wrote earlier is in the pipe
    const bytes = readSome(system, fd, buffer);
    if (bytes === 0) break;
    if (bytes !== null && lost === null) {
      lost = await sink.send(bytes).then(() => null, (reason) => ({ reason }));
      isBusy = bytes >= MANY_BYTES;
      continue;
    }
    if (bytes === null && finalRound) break;
    // Also after output that is thrown away: there may be no end of it, and others have work to do.
    await readable(poller, fd, exited, isBusy);
    isBusy = false;
  }
  if (lost !== null) throw lost.reason;
  await sink.end();
}

/** Number of bytes read, 0 at the end, null when there is nothing now. */
function readSome(system: System, fd: Fd, into: Uint8Array): number | null {
  try {
    return system.read(fd, into);
  } catch (error) {
    // A terminal that no process has open any more; it gives all that was written before it says so.
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
