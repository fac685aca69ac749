import { lazyLibrary } from "./library.ts";

/** sys/socket.h, and chmod(2) for sockets with a path */
export const sockets = lazyLibrary({
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int, int, int)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int bind(int, const struct sockaddr *, socklen_t)
  listen: { parameters: ["i32", "i32"], result: "i32" }, // int listen(int, int)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int connect(int, const struct sockaddr *, socklen_t)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }, // int accept4(int, struct sockaddr *, socklen_t *, int)
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int, int, int, int[2])
  shutdown: { parameters: ["i32", "i32"], result: "i32" }, // int shutdown(int, int)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" }, // int setsockopt(int, int, int, const void *, socklen_t)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" }, // int getsockopt(int, int, int, void *, socklen_t *)
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int getpeername(int, struct sockaddr *, socklen_t *)
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" }, // ssize_t sendmsg(int, const struct msghdr *, int)
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" }, // ssize_t recvmsg(int, struct msghdr *, int)
  chmod: { parameters: ["buffer", "u32"], result: "i32" }, // int chmod(const char *, mode_t)
});
