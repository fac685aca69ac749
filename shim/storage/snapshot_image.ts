import { messageOf } from "../../base/mod.ts";
import { type Fd, isSystemError, O, type System } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";

/**
 * Opens the writable image of a snapshot. Its contents were made by a guest: it becomes a disk of
 * another guest, and the host reads nothing but its size.
 *
 * The holders of the descriptor, shim and QEMU, own the image exclusively: a second container on
 * the same snapshot would destroy the files of the first.
 *
 * @returns a descriptor of the caller's, open for reading and writing.
 * @throws {RefusedError} `host`, naming the image.
 */
export function openSnapshotImage(system: System, path: string): Fd {
  const refused = (why: string, fix?: string) =>
    new RefusedError("host", `snapshot's writable image ${path}`, why, fix);
  let fd: Fd;
  try {
    fd = system.open(path, O.RDWR | O.NOFOLLOW | O.NONBLOCK);
  } catch (error) {
    if (isSystemError(error, "ELOOP")) throw refused("is a symbolic link");
    throw refused(`cannot be opened: ${messageOf(error)}`);
  }
  using undo = new DisposableStack();
  undo.defer(() => system.close(fd));
  if (system.fileType(fd) !== "file") throw refused("is not a regular file");
  if (!system.tryLock(fd)) {
    throw refused("is in use by another container", "prepare one snapshot per container");
  }
  undo.move();
  return fd;
}
