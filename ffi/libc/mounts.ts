import { lazyLibrary } from "./library.ts";

/** sys/mount.h, and pivot_root(2), which glibc does not wrap */
export const mounts = lazyLibrary({
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" }, // int mount(const char *, const char *, const char *, unsigned long, const void *)
  umount2: { parameters: ["buffer", "i32"], result: "i32" }, // int umount2(const char *, int)
  pivot_root: { name: "syscall", parameters: ["i64", "buffer", "buffer"], result: "i64" }, // long syscall(SYS_pivot_root, const char *, const char *)
});

export const SYS_pivot_root = 155;
