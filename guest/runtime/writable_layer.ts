import { isThere } from "../../base/mod.ts";
import { type Fd } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Reaper } from "../base/reaper.ts";

/** The archive of a container's writable layer, in the checkpoint's directory. */
const ARCHIVE = "qemubox-writable.tar";
const TAR = "/usr/bin/tar";
/** vminitd's own stderr, the guest's console: tar's error messages go there. */
const STDERR = 2 as Fd;
// overlayfs marks hidden directories by extended attributes and deleted files by devices 0:0.
const ALL = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"];

/** The directory of a bundle that overlayfs writes to. */
function upperOf(bundle: string): string {
  return `${bundle}/writable/upper`;
}

/**
 * Saves the writable layer of the container in `bundle` to the checkpoint in `directory`. The
 * container's processes must be frozen. Without a writable layer it does nothing.
 *
 * @throws {RpcError} Internal: tar failed
 */
export async function packWritable(
  reaper: Reaper,
  bundle: string,
  directory: string,
): Promise<void> {
  const upper = upperOf(bundle);
  if (!isThere(upper)) return;
  const archive = `${directory}/${ARCHIVE}`;
  await tar(reaper, ["--create", "--file", archive, "--sparse", ...ALL, "--directory", upper, "."]);
}

/**
 * Restores what {@linkcode packWritable} saved into the writable layer of `bundle`. The root file
 * system must not have been accessed yet: overlayfs would keep the entries that it has cached.
 *
 * @throws {RpcError} Internal: tar failed; FailedPrecondition: the bundle has no writable layer
 */
export async function unpackWritable(
  reaper: Reaper,
  bundle: string,
  directory: string,
): Promise<void> {
  const archive = `${directory}/${ARCHIVE}`;
  if (!isThere(archive)) return;
  const upper = upperOf(bundle);
  if (!isThere(upper)) {
    throw new RpcError(
      Code.FailedPrecondition,
      "checkpoint needs a writable root file system, which this container does not have",
    );
  }
  const how = ["--same-permissions", ...ALL, "--directory", upper];
  await tar(reaper, ["--extract", "--file", archive, ...how]);
  Deno.removeSync(archive);
}

async function tar(reaper: Reaper, args: string[]): Promise<void> {
  const { exited } = reaper.spawn({
    path: TAR,
    args,
    env: { PATH: "/usr/bin", LC_ALL: "C" },
    cwd: "/",
    fds: { 2: STDERR },
  });
  const { code, signal } = await exited;
  if (code === 0) return;
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  throw new RpcError(Code.Internal, `writable layer: tar failed with ${how}`);
}
