/** Begins a call: one that throws at once is one that fails later, like any other. */
export async function begin<T>(call: () => T | Promise<T>): Promise<T> {
  return await call();
}
