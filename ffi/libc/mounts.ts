import { lazyLibrary } from "./library.ts";

/**
 * sys/mount.h, and calls that glibc does not wrap, or not everywhere: pivot_root(2),
 * mount_setattr(2)
 */
export const mounts = lazyLibrary({
  // int mount(const char *, const char *, const char *, unsigned long, const void *)
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
  // int umount2(const char *, int)
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  // long syscall(SYS_pivot_root, const char *, const char *)
  pivot_root: { name: "syscall", parameters: ["i64", "buffer", "buffer"], result: "i64" },
  // long syscall(SYS_mount_setattr, int, const char *, unsigned, struct mount_attr *, size_t)
  mount_setattr: {
    name: "syscall",
    parameters: ["i64", "i64", "buffer", "u64", "buffer", "u64"],
    result: "i64",
  },
});

export const SYS_pivot_root = 155;
export const SYS_mount_setattr = 442;
