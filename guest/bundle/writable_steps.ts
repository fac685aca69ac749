import { quoted } from "../../base/mod.ts";
import { MS } from "../../ffi/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import type { BundleStep } from "./bundle_step.ts";

const DISK_DIRECTORY = /^[A-Za-z0-9_-]{1,64}$/;
const SERIAL = /^[A-Za-z0-9._-]{1,20}$/;

/**
 * Returns the steps that mount the writable layer as `writable` in the bundle at `path`: a file
 * system, or the layer's directory of one.
 *
 * @throws {RpcError} InvalidArgument; FailedPrecondition: no such disk
 */
export function writableSteps(
  path: string,
  writable: guest.Writable,
  diskOf: DiskOf,
): BundleStep[] {
  const { kind } = writable;
  const target = `${path}/writable`;
  const mount = { do: "mount", flags: 0, ...writableSource(writable, diskOf) } as const;
  const directory = kind.case === "disk" ? kind.value.folder : "";
  if (directory === "") {
    return [{ do: "directory", path: target, mode: 0o700 }, { ...mount, target }];
  }
  if (!DISK_DIRECTORY.test(directory)) {
    throw invalid(`invalid directory ${quoted(directory)} of a disk`);
  }
  const disk = `${path}/disk`;
  const source = `${disk}/${directory}`;
  return [
    { do: "directory", path: disk, mode: 0o700 },
    { ...mount, target: disk },
    { do: "scratch", path: source },
    { do: "directory", path: target, mode: 0o700 },
    { do: "mount", source, target, fstype: null, flags: MS.BIND, data: null },
  ];
}

/** Returns the device file of the disk with a serial number, or null if there is none. */
export type DiskOf = (serial: string) => string | null;

/** The file system of a writable layer, for mount(2). */
function writableSource(
  { kind }: guest.Writable,
  diskOf: DiskOf,
): { readonly source: string; readonly fstype: string; readonly data: string } {
  switch (kind.case) {
    case undefined:
      throw invalid("writable layer has no kind");
    case "tmpfs": {
      const { sizeBytes } = kind.value;
      const data = sizeBytes > 0n ? `mode=0700,size=${sizeBytes}` : "mode=0700";
      return { source: "tmpfs", fstype: "tmpfs", data };
    }
    case "disk":
      // The inode tables are holes of the host's file and already read as zeros.
      return {
        source: checkedDisk(kind.value.serial, diskOf),
        fstype: "ext4",
        data: "discard,noinit_itable",
      };
    case "snapshot":
      // The image's own setting for errors may be a panic.
      return {
        source: checkedDisk(kind.value.serial, diskOf),
        fstype: "ext4",
        data: "discard,noinit_itable,errors=remount-ro",
      };
  }
}

/**
 * Returns the device file of the disk with this serial number.
 *
 * @throws {RpcError} InvalidArgument: not a serial number; FailedPrecondition: no such disk
 */
export function checkedDisk(serial: string, diskOf: DiskOf): string {
  if (!SERIAL.test(serial)) throw invalid(`invalid disk serial number ${quoted(serial)}`);
  const disk = diskOf(serial);
  if (disk === null) throw new RpcError(Code.FailedPrecondition, `no disk ${serial}`);
  return disk;
}
