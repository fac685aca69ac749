import { lazyLibrary } from "./library.ts";

/** sys/ioctl.h, for disks and the file systems on them: linux/blkpg.h, linux/fs.h */
export const disks = lazyLibrary({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" }, // int ioctl(int, unsigned long, ...)
  ioctl_parked: {
    name: "ioctl",
    parameters: ["i32", "u64", "buffer"],
    result: "i32",
    nonblocking: true,
  },
});
