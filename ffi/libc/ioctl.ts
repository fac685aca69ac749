import { lazyLibrary } from "./library.ts";

/** sys/ioctl.h: int ioctl(int, unsigned long, ...), once for each kind of third argument */
export const ioctls = lazyLibrary({
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  ioctl_number: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" },
  /** On a thread of Deno's pool, for requests that wait for a disk. Its errno is lost. */
  ioctl_parked: {
    name: "ioctl",
    parameters: ["i32", "u64", "buffer"],
    result: "i32",
    nonblocking: true,
  },
});
