import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";
import { VmError } from "./error.ts";

/** A number that no other sandbox of this host has while the lease is held. */
export interface IdLease extends Disposable {
  readonly id: number;
  /** The locked file. The kernel drops the lock when the last process closes `fd`. */
  readonly path: string;
  /**
   * Descriptor for the processes that use the id to inherit. If this process is killed, the id
   * stays taken until they are gone too. Not writable: nothing has to be written.
   */
  readonly fd: Fd;
  /** Frees the id and removes the file. */
  [Symbol.dispose](): void;
}

/** Numbers to lease, both ends included. */
export interface IdRange {
  readonly first: number;
  readonly last: number;
}

/** A kind of numbers. */
export interface IdKind extends IdRange {
  /** Name in messages. */
  readonly what: string;
  /** Beginning of the files' names. */
  readonly prefix: string;
}

/** Options of `leaseId`. */
export interface IdOptions {
  readonly system?: System;
  /** Returns 0 to 1, as Math.random. */
  readonly random?: () => number;
}

const TRIES_MAX = 256;

/**
 * Leases a number. Each has a file, `<directory>/<prefix>-N.lock`, which is locked by flock(2)
 * while the number is used. The lock is the state: nothing is written, and nothing has to be
 * trusted after a crash. Numbers are drawn at random, so that one is not reused soon.
 *
 * Files are made and removed only while the directory itself is locked, so no process can lock a
 * file that is being removed.
 *
 * @throws VmError `host` if no number is free.
 * @throws SystemError if the directory cannot be written.
 */
export function leaseId(directory: string, kind: IdKind, options: IdOptions = {}): IdLease {
  const system = options.system ?? realSystem;
  const random = options.random ?? Math.random;
  const { first, last, prefix, what } = kind;
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  return withDirectoryLock(system, directory, () => {
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const id = first + Math.floor(random() * (last - first + 1));
      const lease = tryLease(system, directory, `${prefix}-${id}.lock`, id);
      if (lease !== null) return lease;
    }
    throw new VmError("host", `no free ${what} found in ${directory}`);
  });
}

/**
 * Removes the file of a lease whose owner died. Does nothing if there is none.
 *
 * @returns false if a living process still holds it; nothing is removed then.
 * @throws SystemError if it cannot be opened or locked.
 */
export function removeIdLease(path: string, system: System = realSystem): boolean {
  const directory = path.slice(0, path.lastIndexOf("/"));
  try {
    return withDirectoryLock(system, directory, () => {
      const fd = system.open(path, O.RDONLY);
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

function tryLease(system: System, directory: string, name: string, id: number): IdLease | null {
  const path = `${directory}/${name}`;
  const fd = system.open(path, O.RDONLY | O.CREAT, 0o600);
  try {
    if (system.tryLock(fd)) return lease(system, directory, path, id, fd);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  system.close(fd);
  return null;
}

function lease(system: System, directory: string, path: string, id: number, fd: Fd): IdLease {
  let held = true;
  return {
    id,
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
