import { lazyLibrary } from "./library.ts";

/** sys/epoll.h, sys/eventfd.h */
export const epoll = lazyLibrary({
  // int epoll_create1(int)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int, int, int, struct epoll_event *)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int, struct epoll_event *, int, int)
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  epoll_wait_parked: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // int eventfd(unsigned, int)
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
});
