/**
 * Errors that read(2) and write(2) of an open descriptor do not have. Yet about once in a hundred
 * guests, a call that would have to wait (EAGAIN) was seen to fail with ENOENT, the error of some
 * call before it. The cause is unknown; the call transferred nothing and is retried.
 */
const STRAY = new Map([[2, "ENOENT"], [10, "ECHILD"], [17, "EEXIST"], [20, "ENOTDIR"]]);

/** Retries of one call: a file of cgroupfs may really fail with one of these, and keeps failing. */
export const STRAYS_MAX = 3;

/** Called with a description of each stray error. */
export const strayObservers: Set<(what: string) => void> = new Set();

/** Returns whether to retry a call that failed with `code`, and reports it to the observers. */
export function isStray(syscall: string, code: number): boolean {
  const name = STRAY.get(code);
  if (name === undefined) return false;
  const what = `${syscall} failed with ${name}, retrying`;
  for (const observe of strayObservers) observe(what);
  return true;
}
