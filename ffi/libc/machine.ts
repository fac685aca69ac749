import { lazyLibrary } from "./library.ts";

/** sys/reboot.h, unistd.h, time.h, for the whole machine */
export const machine = lazyLibrary({
  // int reboot(int)
  reboot: { parameters: ["i32"], result: "i32" },
  // void sync(void)
  sync: { parameters: [], result: "void" },
  // int sethostname(const char *, size_t)
  sethostname: { parameters: ["buffer", "usize"], result: "i32" },
  // int clock_settime(clockid_t, const struct timespec *)
  clock_settime: { parameters: ["i32", "buffer"], result: "i32" },
  // int clock_gettime(clockid_t, struct timespec *)
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
