import { messageOf } from "../../base/mod.ts";
import type { DirectorySetting } from "./own_directory.ts";
import { RefusedError } from "./refused_error.ts";

/**
 * Returns the error for a directory of ours that cannot be written. The fix depends on the reason:
 * a full file system needs something else than missing rights.
 *
 * @param directory what it is, and its path.
 */
export function unwritable(
  directory: string,
  setting: DirectorySetting,
  cause: unknown,
): RefusedError {
  const fix = isFull(cause) ? "free space on its file system" : "make it writable";
  return new RefusedError(
    "host",
    directory,
    `cannot be written (${messageOf(cause)})`,
    `${fix} or set QEMUBOX_${setting.toUpperCase()}`,
    { cause },
  );
}

/** Whether a write failed because the file system, or a quota on it, is full. */
export function isFull(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ENOSPC" || code === "EDQUOT";
}
