import type { Fd } from "../ffi/mod.ts";

/** Assigns a child's descriptor numbers: child number to descriptor of this process. */
export class FdTable {
  readonly fds: Record<number, Fd>;
  #next: number;

  /** `fixed` numbers are given; the others are assigned from `first` on. */
  constructor(fixed: Record<number, Fd>, first: number) {
    this.fds = { ...fixed };
    this.#next = first;
  }

  /** Adds a descriptor and returns its number in the child. */
  add(fd: Fd): number {
    this.fds[this.#next] = fd;
    return this.#next++;
  }
}
