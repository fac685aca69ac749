import { MS } from "../../ffi/mod.ts";
import type { guest } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import { type BundleStep, MOUNT_DATA_BYTES_MAX } from "./bundle_step.ts";
import { type DiskOf, writableSteps } from "./writable_steps.ts";

/**
 * Returns the steps that mount the root file system of the bundle at `path` as `rootfs`.
 *
 * @param lower the layers, relative to the bundle, the topmost first
 * @throws {RpcError} InvalidArgument; FailedPrecondition: no such disk
 */
export function rootfsSteps(
  path: string,
  lower: readonly string[],
  writable: guest.Writable | undefined,
  diskOf: DiskOf,
): BundleStep[] {
  const lowerdir = `lowerdir=${lower.join(":")}`;
  if (writable === undefined) {
    const [only, ...others] = lower;
    // overlayfs needs two layers; a single one is a share, which is read-only itself.
    if (others.length === 0) return [bind(`${path}/${only}`, path)];
    return [overlay(path, lower, lowerdir, MS.RDONLY)];
  }

  const upper = `${path}/writable`;
  const mounted = writableSteps(path, writable, diskOf);
  if (lower.length === 0) {
    const keep = { do: "keep", path: `${upper}/upper`, mode: 0o755 } as const;
    return [...mounted, keep, bind(`${upper}/upper`, path)];
  }
  const directories: BundleStep[] = writable.kind.case === "snapshot"
    // As containerd makes both: it refuses to go on with a directory of another mode.
    ? ["upper", "work"].map((name) => ({ do: "keep", path: `${upper}/${name}`, mode: 0o755 }))
    : [
      { do: "directory", path: `${upper}/upper`, mode: 0o755 },
      { do: "directory", path: `${upper}/work`, mode: 0o700 },
    ];
  const options = `${lowerdir},upperdir=${upper}/upper,workdir=${upper}/work`;
  return [...mounted, ...directories, overlay(path, lower, options, 0)];
}

function bind(source: string, path: string): BundleStep {
  return {
    do: "mount",
    source,
    target: `${path}/rootfs`,
    fstype: null,
    flags: MS.BIND,
    data: null,
  };
}

function overlay(path: string, lower: readonly string[], data: string, flags: number): BundleStep {
  if (data.length > MOUNT_DATA_BYTES_MAX) {
    throw invalid(
      `${lower.length} layers need ${data.length} bytes of mount options, ` +
        `more than the limit of ${MOUNT_DATA_BYTES_MAX}`,
    );
  }
  return {
    do: "mount",
    source: "overlay",
    target: `${path}/rootfs`,
    fstype: "overlay",
    flags,
    data,
    // Layer paths are relative to the bundle, so that as many as overlayfs takes fit into a page.
    workingDirectory: path,
  };
}
