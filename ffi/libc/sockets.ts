import { lazyLibrary } from "./library.ts";

/** sys/socket.h, and chmod(2) for sockets with a path */
export const sockets = lazyLibrary({
  // int socket(int, int, int)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int, const struct sockaddr *, socklen_t)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int, int)
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int connect(int, const struct sockaddr *, socklen_t)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int accept4(int, struct sockaddr *, socklen_t *, int)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  // int socketpair(int, int, int, int[2])
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int shutdown(int, int)
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int setsockopt(int, int, int, const void *, socklen_t)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int, int, int, void *, socklen_t *)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int getpeername(int, struct sockaddr *, socklen_t *)
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendmsg(int, const struct msghdr *, int)
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  // ssize_t recvmsg(int, struct msghdr *, int)
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  // int chmod(const char *, mode_t)
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
});
