import type { Fd } from "../ffi/mod.ts";

/** Numbers for the descriptors of a child. */
export class FdTable {
  readonly fds: Record<number, Fd>;
  #next: number;

  constructor(fixed: Record<number, Fd>, first: number) {
    this.fds = { ...fixed };
    this.#next = first;
  }

  add(fd: Fd): number {
    this.fds[this.#next] = fd;
    return this.#next++;
  }
}
