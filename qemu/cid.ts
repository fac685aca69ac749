import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";
import { VmError } from "./error.ts";

/** A vsock context id that no other VM of this host has while the lease is held. */
export interface CidLease extends Disposable {
  readonly cid: number;
  /** The locked file. The kernel drops the lock when the last process closes `fd`. */
  readonly path: string;
  /**
   * Descriptor for the processes that use the id to inherit. If this process is killed, the id
   * stays taken until they are gone too.
   */
  readonly fd: Fd;
  /** Frees the id and removes the file. */
  [Symbol.dispose](): void;
}

/** Options of `leaseCid`. */
export interface CidOptions {
  readonly system?: System;
  /** Returns 0 to 1, as Math.random. */
  readonly random?: () => number;
}

/** Above ids chosen by hand, below the sign bit of 32 bits. */
const FIRST = 0x1_0000;
const LAST = 0x7fff_ffff;
const TRIES_MAX = 256;

/**
 * Leases a context id. Each id has a file, `<directory>/cid-N.lock`, which is locked by flock(2)
 * while the id is used. The lock is the state: nothing is written, and nothing has to be trusted
 * after a crash. Ids are drawn at random, so that one is not reused soon.
 *
 * Files are made and removed only while the directory itself is locked, so no process can lock a
 * file that is being removed.
 *
 * @throws VmError `host` if no id is free.
 * @throws SystemError if the directory cannot be written.
 */
export function leaseCid(directory: string, options: CidOptions = {}): CidLease {
  const system = options.system ?? realSystem;
  const random = options.random ?? Math.random;
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  return withDirectoryLock(system, directory, () => {
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const cid = FIRST + Math.floor(random() * (LAST - FIRST + 1));
      const lease = tryLease(system, directory, cid);
      if (lease !== null) return lease;
    }
    throw new VmError("host", `no free vsock context id found in ${directory}`);
  });
}

/**
 * Removes the file of a lease whose owner died. Does nothing if there is none.
 *
 * @returns false if a living process still holds it; nothing is removed then.
 * @throws SystemError if it cannot be opened or locked.
 */
export function removeCidLease(path: string, system: System = realSystem): boolean {
  const directory = path.slice(0, path.lastIndexOf("/"));
  try {
    return withDirectoryLock(system, directory, () => {
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
        withDirectoryLock(system, directory, () => Deno.removeSync(path));
      } finally {
        system.close(fd);
      }
    },
  };
}

/** The directory is locked for microseconds only, so this may block. */
function withDirectoryLock<T>(system: System, directory: string, work: () => T): T {
  const fd = system.open(directory, O.RDONLY | O.DIRECTORY);
  try {
    system.lock(fd);
    return work();
  } finally {
    system.close(fd);
  }
}
