import type { GuestConnection } from "./guest_connection.ts";
import type { Logger } from "../base/log.ts";
import { ProcessIo } from "../stdio/process_io.ts";
import { streamId } from "./stream_ids.ts";
import type { ProcessName } from "../stdio/process_name.ts";

/** What joining a process's streams takes besides the two sides. */
export interface GuestIoOptions {
  /** containerd's. */
  readonly namespace: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called before the first byte of output is delivered. */
  readonly onFirstByte?: () => void;
}

/** The guest may be at the creation of a container meanwhile. Milliseconds. */
const STREAM_TIMEOUT_MS = 30_000;

/**
 * Opens the streams of a process that the guest knows already, joined to what containerd named.
 * @throws RpcError when an address or a stream cannot be opened; nothing stays open then.
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
    // An exec's logger is told the exec's id, as containerd's own shim does.
    { CONTAINER_ID: execId || id, CONTAINER_NAMESPACE: namespace },
    log,
    onFirstByte,
  );
}
