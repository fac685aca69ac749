/** Returns the message of an error, or the text of anything else that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns `Name: message` of an error, or the text of anything else that was thrown. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/**
 * Returns the errors in a SuppressedError in the order in which they occurred: the first failure,
 * then those of the cleanup after it.
 */
export function unsuppressed(error: unknown): [Error, ...Error[]] {
  if (!(error instanceof SuppressedError)) return [error as Error];
  return [...unsuppressed(error.suppressed), ...unsuppressed(error.error)];
}
