/** What failed first, then what failed while the rest was undone after it. */
export function reasons(error: unknown): [Error, ...Error[]] {
  if (!(error instanceof SuppressedError)) return [error as Error];
  return [...reasons(error.suppressed), ...reasons(error.error)];
}
