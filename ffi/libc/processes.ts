import { lazyLibrary } from "./library.ts";

/** sys/wait.h, sys/prctl.h, sched.h, signal.h, unistd.h, and pidfds, which older glibc lacks */
export const processes = lazyLibrary({
  // int waitid(idtype_t, id_t, siginfo_t *, int)
  waitid: { parameters: ["i32", "u32", "buffer", "i32"], result: "i32" },
  // int prctl(int, ...)
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  // long syscall(SYS_pidfd_open, pid_t, unsigned)
  pidfd_open: { name: "syscall", parameters: ["i64", "i32", "u32"], result: "i64" },
  // long syscall(SYS_pidfd_send_signal, int, int, siginfo_t *, unsigned)
  pidfd_send_signal: {
    name: "syscall",
    parameters: ["i64", "i32", "i32", "pointer", "u32"],
    result: "i64",
  },
  // int kill(pid_t, int)
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // pid_t getpid(void)
  getpid: { parameters: [], result: "i32" },
  // int setns(int, int)
  setns: { parameters: ["i32", "i32"], result: "i32" },
  // int unshare(int)
  unshare: { parameters: ["i32"], result: "i32" },
});

export const SYS_pidfd_send_signal = 424;
export const SYS_pidfd_open = 434;
