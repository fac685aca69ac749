import { lazyLibrary } from "./library.ts";

/** sys/ioctl.h, for disks: linux/blkpg.h */
export const disks = lazyLibrary({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" }, // int ioctl(int, unsigned long, ...)
});
