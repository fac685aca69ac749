/**
 * What read(2) and write(2) of an open descriptor do not fail with. Yet, once in some hundred guests, one
 * that had to wait (EAGAIN) was seen to fail with ENOENT: what something before it had failed with. Why is
 * not known; the call moved nothing, and is made again.
 */
const STRAY = new Map([[2, "ENOENT"], [10, "ECHILD"], [17, "EEXIST"], [20, "ENOTDIR"]]);

/** A file of cgroupfs may fail with one of them after all, and then goes on to. */
export const STRAYS_MAX = 3;

/** Who wants to know of it. */
export const strayObservers: Set<(what: string) => void> = new Set();

/** Whether a call is to be made again; tells those who want to know. */
export function isStray(syscall: string, code: number): boolean {
  const name = STRAY.get(code);
  if (name === undefined) return false;
  const what = `${syscall} failed with ${name}, and is made again`;
  for (const observe of strayObservers) observe(what);
  return true;
}
