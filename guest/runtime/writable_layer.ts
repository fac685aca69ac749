import { type Fd } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Reaper } from "../base/reaper.ts";

/** In a checkpoint's folder: what the container had changed in its root file system. */
const ARCHIVE = "qemubox-writable.tar";
const TAR = "/usr/bin/tar";
/** Ours, the guest's console: tar's complaints belong there. */
const STDERR = 2 as Fd;
// overlayfs keeps in extended attributes what a folder hides; what is deleted are devices 0:0.
const ALL = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"];

/** The folder of a bundle that overlayfs writes into. */
function upperOf(bundle: string): string {
  return `${bundle}/writable/upper`;
}

/**
 * Keeps the writable layer of the container in `bundle` in the checkpoint `folder`. Its processes must
 * stand still. Without a writable layer there is nothing to do.
 *
 * @throws {RpcError} Internal
 */
export async function packWritable(reaper: Reaper, bundle: string, folder: string): Promise<void> {
  const upper = upperOf(bundle);
  if (!exists(upper)) return;
  await tar(reaper, [
    ...["--create", "--file", `${folder}/${ARCHIVE}`, "--sparse", ...ALL],
    ...["--directory", upper, "."],
  ]);
}

/**
 * Puts what {@linkcode packWritable} has kept into the writable layer of `bundle`. Nobody may have
 * looked into its root file system yet: overlayfs would go on to see what it has seen.
 *
 * @throws {RpcError} Internal; FailedPrecondition: there is no writable layer to put it into
 */
export async function unpackWritable(
  reaper: Reaper,
  bundle: string,
  folder: string,
): Promise<void> {
  const archive = `${folder}/${ARCHIVE}`;
  if (!exists(archive)) return;
  const upper = upperOf(bundle);
  if (!exists(upper)) {
    throw new RpcError(
      Code.FailedPrecondition,
      "the checkpoint is of a container with a writable root file system, which this one has not",
    );
  }
  await tar(reaper, [
    "--extract",
    "--file",
    archive,
    "--same-permissions",
    ...ALL,
    "--directory",
    upper,
  ]);
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
  throw new RpcError(Code.Internal, `the container's changed files: tar ended with ${how}`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
