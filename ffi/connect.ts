import { delay } from "../base/mod.ts";
import { FdStream, type FdStreamOptions } from "./fd_stream.ts";
import { poller as defaultPoller } from "./poller.ts";
import { system as realSystem } from "./real_system.ts";
import { isSystemError } from "./system_error.ts";

/** Interval between attempts while a listener's backlog is full, which epoll(7) does not report. */
const BACKLOG_RETRY_MS = 2;

/**
 * Connects to a unix(7) stream socket. Waits while the listener's backlog is full.
 *
 * @throws {SystemError} ENOENT, ECONNREFUSED, EACCES, ENAMETOOLONG with the path.
 * @throws the reason of `signal` if it aborts.
 */
export async function connectUnix(path: string, options: ConnectOptions = {}): Promise<FdStream> {
  const system = options.system ?? realSystem;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      return new FdStream(system.connectUnix(path), options);
    } catch (error) {
      if (!isSystemError(error, "EAGAIN")) throw error;
    }
    await delay(BACKLOG_RETRY_MS, options.signal);
  }
}

/**
 * Connects to a vsock(7) port.
 *
 * @throws {SystemError} ECONNRESET or ECONNREFUSED if nothing listens, ENODEV if there is no
 * machine with this CID, ETIMEDOUT after the kernel's 2 s.
 * @throws the reason of `signal` if it aborts.
 */
export async function connectVsock(
  cid: number,
  port: number,
  options: ConnectOptions = {},
): Promise<FdStream> {
  options.signal?.throwIfAborted();
  const system = options.system ?? realSystem;
  const poller = options.poller ?? defaultPoller;
  const stream = new FdStream(system.startConnectVsock(cid, port), options);
  try {
    await poller.wait(stream.fd, "writable", options.signal);
    const error = system.socketError(stream.fd);
    if (error !== null) throw error;
    return stream;
  } catch (error) {
    stream.close();
    throw error;
  }
}

/** Options of {@link connectUnix} and {@link connectVsock}. */
export interface ConnectOptions extends FdStreamOptions {
  /** Aborts the attempt with the signal's reason. */
  signal?: AbortSignal;
}
