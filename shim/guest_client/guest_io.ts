import { type Logger, withFields } from "../base/log.ts";
import { ProcessIo } from "../stdio/process_io.ts";
import type { ProcessName } from "../stdio/process_name.ts";
import type { GuestConnection } from "./guest_connection.ts";
import { streamId } from "./stream_ids.ts";

/**
 * Opens the streams of a process that the guest knows already, and joins them to the stdio that
 * containerd named.
 *
 * @throws {RefusedError} if an address cannot be opened. Nothing stays open then.
 * @throws {GuestError} if the guest does not open a stream. Nothing stays open then.
 */
export function openGuestIo(
  name: ProcessName,
  guest: Pick<GuestConnection, "stream">,
  { namespace, log, signal, onFirstByte = () => {} }: GuestIoOptions,
): Promise<ProcessIo> {
  const { id, execId, stdin, stdout, stderr, terminal } = name;
  return ProcessIo.open(
    // A terminal is one stream each way.
    { stdin, stdout, stderr: terminal ? "" : stderr },
    (kind) => guest.stream(streamId(id, execId, kind), signal, STREAM_TIMEOUT_MS),
    // The logger of an exec process gets the exec id, as with containerd's own shim.
    { CONTAINER_ID: execId || id, CONTAINER_NAMESPACE: namespace },
    withFields(log, execId === "" ? { container: id } : { container: id, exec: execId }),
    onFirstByte,
  );
}

/** Options of `openGuestIo`. */
export interface GuestIoOptions {
  /** containerd's namespace. */
  readonly namespace: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called before the first byte of output is delivered. */
  readonly onFirstByte?: () => void;
}

/** The guest may be creating a container meanwhile. Milliseconds. */
const STREAM_TIMEOUT_MS = 30_000;

/** Runs a call; one that throws becomes a promise that rejects. */
export async function begin<T>(call: () => T | Promise<T>): Promise<T> {
  return await call();
}

/**
 * Waits for the stdio of a container and the steps that run beside its opening. The first failure
 * aborts `failed`, waits for the other steps and closes the stdio.
 *
 * @throws the first failure.
 */
export async function ioOf(
  opened: Promise<ProcessIo>,
  others: readonly Promise<unknown>[],
  failed: AbortController,
): Promise<ProcessIo> {
  try {
    const [io] = await Promise.all([opened, ...others]);
    return io;
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(others);
    await opened.then((io) => io[Symbol.asyncDispose](), () => {});
    throw error;
  }
}
