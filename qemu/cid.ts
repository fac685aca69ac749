import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";
import { VmError } from "./error.ts";

/** A vsock context id that no other machine of this host has while the lease is held. */
export interface CidLease extends Disposable {
  readonly cid: number;
  /** The locked file; the kernel drops the lock with the last process that has `fd` open. */
  readonly path: string;
  /**
   * To be inherited by the processes that use the id: if this process is killed, it stays taken
   * until they are gone too.
   */
  readonly fd: Fd;
  /** Frees the id and removes the file. */
  [Symbol.dispose](): void;
}

export interface CidOptions {
  readonly system?: System;
  /** 0 to 1, as Math.random. */
  readonly random?: () => number;
}

/** Above what people choose by hand, below what a signed number holds. */
const FIRST = 0x1_0000;
const LAST = 0x7fff_ffff;
const TRIES_MAX = 256;

/**
 * Leases a context id. One file an id, `<directory>/cid-N.lock`, locked by flock(2) as long as it
 * is used: nothing has to be written, and nothing to be believed after a crash. Ids are drawn at
 * random, so that one is not soon used again.
 *
 * Files are made and removed only while the folder itself is locked, so nobody can lock a file that
 * is just being removed.
 * @throws VmError `host` when no id is free; SystemError when the folder cannot be written.
 */
export function leaseCid(directory: string, options: CidOptions = {}): CidLease {
  const system = options.system ?? realSystem;
  const random = options.random ?? Math.random;
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  return withFolderLock(system, directory, () => {
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const cid = FIRST + Math.floor(random() * (LAST - FIRST + 1));
      const lease = tryLease(system, directory, cid);
      if (lease !== null) return lease;
    }
    throw new VmError("host", `no free vsock context id found in ${directory}`);
  });
}

/**
 * Removes the file of a lease whose owner died. Does nothing when there is none.
 * @returns false when it is still held by a living process: nothing is removed then.
 */
export function removeCidLease(path: string, system: System = realSystem): boolean {
  const directory = path.slice(0, path.lastIndexOf("/"));
  try {
    return withFolderLock(system, directory, () => {
      const fd = system.open(path, O.RDWR);
      try {
        if (!system.tryLock(fd)) return false;
        Deno.removeSync(path);
        return true;
      } finally {
        system.close(fd);
      }
    });
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return true;
    throw error;
  }
}

function tryLease(system: System, directory: string, cid: number): CidLease | null {
  const path = `${directory}/cid-${cid}.lock`;
  const fd = system.open(path, O.RDWR | O.CREAT, 0o600);
  try {
    if (system.tryLock(fd)) return lease(system, directory, path, cid, fd);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  system.close(fd);
  return null;
}

function lease(system: System, directory: string, path: string, cid: number, fd: Fd): CidLease {
  let held = true;
  return {
    cid,
    path,
    fd,
    [Symbol.dispose]: () => {
      if (!held) return;
      held = false;
      try {
        withFolderLock(system, directory, () => Deno.removeSync(path));
      } finally {
        system.close(fd);
      }
    },
  };
}

/** The folder is locked for microseconds, so waiting for it blocks nobody. */
function withFolderLock<T>(system: System, directory: string, work: () => T): T {
  const fd = system.open(directory, O.RDONLY | O.DIRECTORY);
  try {
    system.lock(fd);
    return work();
  } finally {
    system.close(fd);
  }
}
