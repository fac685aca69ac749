import { type Fd, O, type Poller, type System } from "../../ffi/mod.ts";

/** Limit of a read: one page, which the kernel fills. */
const FILE_BYTES_MAX = 4_096;

/**
 * A "flat keyed" file of cgroup v2 whose changes the kernel reports: cgroup.events, memory.events
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

  /** Returns the values by key. @throws {SystemError} ENODEV: the cgroup was removed */
  read(): ReadonlyMap<string, bigint> {
    const buffer = new Uint8Array(FILE_BYTES_MAX);
    const bytes = this.#system.readAt(this.#fd, buffer, 0);
    return flatKeyed(new TextDecoder().decode(buffer.subarray(0, bytes)));
  }

  /**
   * Resolves when the file has changed since the last read, or the cgroup was removed.
   *
   * @throws {SystemError} EBADF: this was disposed
   * @throws the reason of `signal` if it aborts
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

/** Returns the numbers of lines "name number", by name. Skips other lines. */
export function flatKeyed(text: string): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const [, name, value] of text.matchAll(/^(\S+) ([0-9]{1,20})$/gm)) {
    values.set(name as string, BigInt(value as string));
  }
  return values;
}
