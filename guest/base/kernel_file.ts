import { type Fd, O, type Poller, type System } from "../../ffi/mod.ts";

/** Most bytes of such a file that are read: one page, which is what the kernel fills. */
const FILE_BYTES_MAX = 4_096;

/**
 * A "flat keyed" file of cgroup v2 whose changes the kernel tells: cgroup.events, memory.events
 * (Documentation/admin-guide/cgroup-v2.rst).
 */
export class KernelFile implements Disposable {
  readonly #system: System;
  readonly #poller: Poller;
  readonly #fd: Fd;
  #disposed = false;

  /** @throws {SystemError} ENOENT */
  constructor(system: System, poller: Poller, path: string) {
    this.#system = system;
    this.#poller = poller;
    this.#fd = system.open(path, O.RDONLY);
  }

  /** @throws {SystemError} ENODEV: its cgroup was removed */
  read(): ReadonlyMap<string, bigint> {
    const buffer = new Uint8Array(FILE_BYTES_MAX);
    const bytes = this.#system.readAt(this.#fd, buffer, 0);
    return flatKeyed(new TextDecoder().decode(buffer.subarray(0, bytes)));
  }

  /**
   * Resolves when it has changed since it was last read, or its cgroup was removed.
   *
   * @throws {SystemError} EBADF when this is disposed
   * @throws the reason of `signal` when it is aborted
   */
  changed(signal?: AbortSignal): Promise<void> {
    return this.#poller.wait(this.#fd, "urgent", signal);
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#system.close(this.#fd);
  }
}

/** The numbers by name of lines "name number"; other lines are left out. */
export function flatKeyed(text: string): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const [, name, value] of text.matchAll(/^(\S+) ([0-9]{1,20})$/gm)) {
    values.set(name as string, BigInt(value as string));
  }
  return values;
}
