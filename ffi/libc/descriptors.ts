import { lazyLibrary } from "./library.ts";

/** fcntl.h, unistd.h, poll.h, sys/file.h, sys/stat.h, sys/mman.h */
export const descriptors = lazyLibrary({
  // int open(const char *, int, ...)
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int close(int)
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int, void *, size_t)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t pread(int, void *, size_t, off_t)
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // off_t lseek(int, off_t, int)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // ssize_t write(int, const void *, size_t)
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int pipe2(int[2], int)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // int mkfifo(const char *, mode_t)
  mkfifo: { parameters: ["buffer", "u32"], result: "i32" },
  // int fcntl(int, int, ...)
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int poll(struct pollfd *, nfds_t, int)
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  // int flock(int, int)
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int statx(int, const char *, int, unsigned, struct statx *)
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  // int memfd_create(const char *, unsigned)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
});
