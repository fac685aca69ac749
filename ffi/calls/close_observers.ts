import type { Fd } from "../types.ts";

/**
 * Who wants to know that a descriptor is about to be closed: a poller, whose kernel side forgets it
 * without a word.
 */
export const closeObservers: Set<(fd: Fd) => void> = new Set();
