import { lazyLibrary } from "./library.ts";

/** sys/ioctl.h, for terminals: ioctl_tty(2) */
export const terminals = lazyLibrary({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" }, // int ioctl(int, unsigned long, ...)
  ioctl_number: { name: "ioctl", parameters: ["i32", "u64", "i64"], result: "i32" },
});
