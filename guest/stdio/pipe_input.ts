import { type Fd, isSystemError, type Poller, type System } from "../../ffi/mod.ts";

/**
 * Copies `source` into the pipe `fd`: the write end of a process's stdin, or a terminal's master;
 * non-blocking, and the caller's to close. A process that does not read its stdin blocks this copy
 * and nothing else, until `exited` aborts.
 *
 * @throws the error of `source` if the host's connection breaks
 */
export async function copyInput(
  system: System,
  poller: Poller,
  source: InputSource,
  fd: Fd,
  exited: AbortSignal,
): Promise<InputEnd> {
  const { promise: gone, resolve } = Promise.withResolvers<"exited">();
  const onExit = (): void => resolve("exited");
  exited.addEventListener("abort", onExit);
  if (exited.aborted) onExit();
  try {
    for (;;) {
      const chunk = await Promise.race([source.read(), gone]);
      if (chunk === "exited") return "exited";
      if (chunk === null) return "ended";
      const end = await writeAll(system, poller, fd, chunk, exited);
      if (end !== null) return end;
    }
  } finally {
    exited.removeEventListener("abort", onExit);
  }
}

/** The source of input: a `FrameReader`, or a test's stand-in. Null is the end of the input. */
export interface InputSource {
  read(): Promise<Uint8Array | null>;
}

/** Why {@linkcode copyInput} ended. */
export type InputEnd =
  | "ended" // the host sent the end frame
  | "closed by the process" // the read end of the pipe is closed
  | "exited"; // the process has exited

async function writeAll(
  system: System,
  poller: Poller,
  fd: Fd,
  chunk: Uint8Array,
  exited: AbortSignal,
): Promise<InputEnd | null> {
  let rest = chunk;
  while (rest.length > 0) {
    if (exited.aborted) return "exited";
    let taken: number | null;
    try {
      taken = system.write(fd, rest);
    } catch (error) {
      if (isSystemError(error, "EPIPE")) return "closed by the process";
      throw error;
    }
    if (taken !== null) {
      rest = rest.subarray(taken);
      continue;
    }
    try {
      await poller.wait(fd, "writable", exited);
    } catch (cause) {
      if (!exited.aborted) throw cause;
    }
  }
  return null;
}
