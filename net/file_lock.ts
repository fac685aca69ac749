import { poll } from "../base/mod.ts";
import { O, type System, system as realSystem } from "../ffi/mod.ts";

/** Interval at which a lock that is held elsewhere is retried, in milliseconds. */
const RETRY_MS = 3;

/**
 * Runs `work` while holding the lock of a file, which is created if it does not exist. Waits as
 * long as another holder on the host has it. The kernel drops the lock when this process dies.
 *
 * @throws the reason of `signal`, if it aborts while waiting.
 * @throws SystemError
 */
export async function withFileLock<T>(
  path: string,
  { system = realSystem, signal }: LockTaker,
  work: () => T | Promise<T>,
): Promise<T> {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
  const fd = system.open(path, O.RDWR | O.CREAT, 0o600);
  try {
    const take = () => system.tryLock(fd) ? true : null;
    const taken = await poll(take, { everyMs: RETRY_MS, timeoutMs: Infinity, signal });
    if (taken === null) throw signal?.reason;
    return await work();
  } finally {
    system.close(fd);
  }
}

/** What `withFileLock` uses. */
export interface LockTaker {
  readonly system?: System;
  readonly signal?: AbortSignal;
}
