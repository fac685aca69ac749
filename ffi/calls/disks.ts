import { O } from "../constants.ts";
import { BLKPG_ARGUMENT, BLKPG_PARTITION, fields, structure } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { ioctls } from "../libc/ioctl.ts";
import { addressOf } from "../libc/strings.ts";
import type { System } from "../system.ts";
import { descriptorCalls } from "./descriptors.ts";

/** linux/fs.h, linux/blkpg.h */
const BLKPG = 0x1269n, BLKPG_ADD_PARTITION = 1, BLKPG_DEL_PARTITION = 2;
/** linux/fs.h */
const FIFREEZE = 0xc0045877n, FITHAW = 0xc0045878n;

/** Disk calls of {@link System}. */
export const diskCalls = {
  addPartition(disk, number, offset, length) {
    blkpg(disk, BLKPG_ADD_PARTITION, number, offset, length);
  },
  deletePartition(disk, number) {
    blkpg(disk, BLKPG_DEL_PARTITION, number, 0, 0);
  },
  async flushFileSystem(path) {
    const fd = descriptorCalls.open(path, O.RDONLY | O.DIRECTORY);
    try {
      // Parked, because writing back dirty pages takes as long as the disk does.
      if (await ioctls().ioctl_parked(fd, FIFREEZE, null) === -1) {
        // The errno stayed in the other thread. Call again on this one.
        checked("ioctl", () => ioctls().ioctl(fd, FIFREEZE, null), path);
      }
      checked("ioctl", () => ioctls().ioctl(fd, FITHAW, null), path);
    } finally {
      descriptorCalls.close(fd);
    }
  },
} satisfies Partial<System>;

function blkpg(disk: string, op: number, number: number, offset: number, length: number): void {
  // One buffer for both, so that the partition lives as long as the argument that points to it.
  const both = structure(BLKPG_ARGUMENT.size + BLKPG_PARTITION.size);
  const argument = fields(both.subarray(0, BLKPG_ARGUMENT.size));
  argument.setInt32(BLKPG_ARGUMENT.op, op, true);
  argument.setInt32(BLKPG_ARGUMENT.datalen, BLKPG_PARTITION.size, true);
  const address = addressOf(both) + BigInt(BLKPG_ARGUMENT.size);
  argument.setBigUint64(BLKPG_ARGUMENT.data, address, true);
  const partition = fields(both.subarray(BLKPG_ARGUMENT.size));
  partition.setBigInt64(BLKPG_PARTITION.start, BigInt(offset), true);
  partition.setBigInt64(BLKPG_PARTITION.length, BigInt(length), true);
  partition.setInt32(BLKPG_PARTITION.pno, number, true);
  const fd = descriptorCalls.open(disk, O.RDONLY);
  try {
    checked("ioctl", () => ioctls().ioctl(fd, BLKPG, both), disk);
  } finally {
    descriptorCalls.close(fd);
  }
}
