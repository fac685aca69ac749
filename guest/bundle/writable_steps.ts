import { MS } from "../../ffi/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import type { BundleStep } from "./bundle_step.ts";
import { quoted } from "../base/ids.ts";
import { invalid } from "../base/errors.ts";

/** The device file of the disk that has a serial number, null when there is none. */
export type DiskOf = (serial: string) => string | null;

const DISK_FOLDER = /^[A-Za-z0-9_-]{1,64}$/;
const SERIAL = /^[A-Za-z0-9._-]{1,20}$/;

/** Mounts what the container writes to as `writable`: a file system, or its folder of one. */
export function writableSteps(
  path: string,
  writable: guest.Writable,
  diskOf: DiskOf,
): BundleStep[] {
  const { kind } = writable;
  const target = `${path}/writable`;
  const mount = { do: "mount", flags: 0, ...writableSource(writable, diskOf) } as const;
  const folder = kind.case === "disk" ? kind.value.folder : "";
  if (folder === "") {
    return [{ do: "folder", path: target, mode: 0o700 }, { ...mount, target }];
  }
  if (!DISK_FOLDER.test(folder)) throw invalid(`invalid folder ${quoted(folder)} of a disk`);
  const disk = `${path}/disk`;
  const source = `${disk}/${folder}`;
  return [
    { do: "folder", path: disk, mode: 0o700 },
    { ...mount, target: disk },
    { do: "scratch", path: source },
    { do: "folder", path: target, mode: 0o700 },
    { do: "mount", source, target, fstype: null, flags: MS.BIND, data: null },
  ];
}

/** What is mounted for the container to write to. */
function writableSource(
  { kind }: guest.Writable,
  diskOf: DiskOf,
): { readonly source: string; readonly fstype: string; readonly data: string } {
  switch (kind.case) {
    case undefined:
      throw invalid("the writable layer is of no kind");
    case "tmpfs": {
      const { sizeBytes } = kind.value;
      const data = sizeBytes > 0n ? `mode=0700,size=${sizeBytes}` : "mode=0700";
      return { source: "tmpfs", fstype: "tmpfs", data };
    }
    case "disk":
      // The inode tables are holes of the host's file, and need not be written to be empty.
      return {
        source: checkedDisk(kind.value.serial, diskOf),
        fstype: "ext4",
        data: "discard,noinit_itable",
      };
    case "snapshot":
      // What the image itself asks for in case of an error may be a panic.
      return {
        source: checkedDisk(kind.value.serial, diskOf),
        fstype: "ext4",
        data: "discard,noinit_itable,errors=remount-ro",
      };
  }
}

/** @throws {RpcError} InvalidArgument, NotFound */
export function checkedDisk(serial: string, diskOf: DiskOf): string {
  if (!SERIAL.test(serial)) throw invalid(`invalid serial number ${quoted(serial)} of a disk`);
  const disk = diskOf(serial);
  if (disk === null) throw new RpcError(Code.NotFound, `there is no disk ${serial}`);
  return disk;
}
