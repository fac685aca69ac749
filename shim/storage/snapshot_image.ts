import { type Fd, isSystemError, O, type System } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";

/**
 * Opens the image that a snapshot brings along for its container to write to. A guest has made what is
 * in it: it is a disk for another one, and the host looks at nothing but its size.
 *
 * Whoever has the descriptor, the shim or QEMU, has the image for itself: a second container on the
 * same snapshot would destroy what the first writes.
 *
 * @returns a descriptor, the caller's, open for reading and writing.
 * @throws RpcError FailedPrecondition that names the image.
 */
export function openSnapshotImage(system: System, path: string): Fd {
  const refused = (why: string) =>
    new RpcError(Code.FailedPrecondition, `the snapshot's writable image ${path} ${why}`);
  let fd: Fd;
  try {
    fd = system.open(path, O.RDWR | O.NOFOLLOW | O.NONBLOCK);
  } catch (error) {
    if (isSystemError(error, "ELOOP")) throw refused("is a symbolic link");
    throw refused(`cannot be opened: ${(error as Error).message}`);
  }
  using undo = new DisposableStack();
  undo.defer(() => system.close(fd));
  if (system.fileType(fd) !== "file") throw refused("is no file");
  if (!system.tryLock(fd)) {
    throw refused("belongs to another container that runs: prepare a snapshot for each of them");
  }
  undo.move();
  return fd;
}
