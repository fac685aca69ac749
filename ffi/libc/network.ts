import { lazyLibrary } from "./library.ts";

/** What netlink and tap devices need beyond sys/socket.h; ioctl(2) with a number as its argument */
export const network = lazyLibrary({
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" }, // int setsockopt(int, int, int, const void *, socklen_t)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int, int, int)
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" }, // int ioctl(int, unsigned long, ...)
  ioctlNumber: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" }, // int ioctl(int, unsigned long, ...)
});
