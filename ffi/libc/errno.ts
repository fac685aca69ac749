import { SystemError } from "../system_error.ts";
import { functionsOf } from "./functions.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" }, // int *__errno_location(void)
} as const satisfies Deno.ForeignLibraryInterface;

const EINTR = 4, EAGAIN = 11;

/** The errno of this thread, mapped, because a call to read it could change it. */
let location: Int32Array | undefined;

/** Maps errno. Must run before the call whose errno is wanted; `lazyLibrary` does it. */
export function loadErrno(): void {
  if (location !== undefined) return;
  const pointer = functionsOf(SYMBOLS).__errno_location();
  if (pointer === null) throw new Error("libc has no errno");
  location = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4));
}

/**
 * Returns the errno of the synchronous call just made; nothing may come in between. Asynchronous
 * calls run on another thread, whose errno is lost. The load is atomic, so that no compiler reuses
 * an earlier value.
 */
export function errno(): number {
  return Atomics.load(location!, 0);
}

/**
 * Makes a system call, repeats it on EINTR, and turns -1 into an error.
 *
 * @throws {SystemError} with the errno, `syscall` and `path`.
 */
export function checked(syscall: string, call: () => number, path?: string): number {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const code = errno();
    if (code !== EINTR) throw systemError(syscall, code, path);
  }
}

/** Like {@linkcode checked}, but returns null if the call would have to wait (EAGAIN). */
export function checkedNow(syscall: string, call: () => number): number | null {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const code = errno();
    if (code === EAGAIN) return null;
    if (code !== EINTR) throw systemError(syscall, code);
  }
}

/** Returns a SystemError, with a path if there is one. */
export function systemError(syscall: string, code: number, path?: string): SystemError {
  return new SystemError(syscall, code, path === undefined ? {} : { path });
}
