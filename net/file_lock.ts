import { poll } from "../base/mod.ts";
import { O, type System, system as realSystem } from "../ffi/mod.ts";

/** How often a lock that somebody else holds is tried again. Milliseconds. */
const RETRY_MS = 3;

/** Who takes a lock. */
export interface LockTaker {
  readonly system?: System;
  readonly signal?: AbortSignal;
}

/**
 * Does something while nobody else on the host holds the lock of a file, which is made if it is not
 * there. The kernel drops the lock when this process dies.
 * @throws the reason of `signal` while it waits.
 * @throws SystemError
 */
export async function withFileLock<T>(
  path: string,
  { system = realSystem, signal }: LockTaker,
  work: () => T | Promise<T>,
): Promise<T> {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
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
