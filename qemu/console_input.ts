import { type Fd, isSystemError, type System } from "../ffi/mod.ts";

/** Input of the guest's console, which QEMU reads from its standard input. */
export interface ConsoleInput extends Disposable {
  /** Descriptors that QEMU inherits. */
  readonly fds: Readonly<Record<number, Fd>>;
  /** Writes all of it, and ends the input. QEMU may have exited. */
  send(): void;
}

/**
 * Makes a pipe for the input; without bytes, the console has none.
 *
 * @param bytes at most 4 KiB, which an empty pipe takes at once.
 * @param own registers the end that QEMU inherits, which the caller closes.
 */
export function makeConsoleInput(
  system: System,
  bytes: Uint8Array | undefined,
  own: (fd: Fd) => void,
): ConsoleInput {
  if (bytes === undefined) return { fds: {}, send: () => {}, [Symbol.dispose]: () => {} };
  const { read, write } = system.pipe({ nonblock: "write" });
  own(read);
  let isOpen = true;
  const close = () => {
    if (isOpen) system.close(write);
    isOpen = false;
  };
  return {
    fds: { 0: read },
    send: () => {
      try {
        system.write(write, bytes);
      } catch (error) {
        if (!isSystemError(error, "EPIPE")) throw error; // QEMU exited: VmEnd reports how
      } finally {
        close();
      }
    },
    [Symbol.dispose]: close,
  };
}
