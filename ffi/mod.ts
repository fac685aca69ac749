/**
 * libc for qemubox: system calls, an epoll poller and byte streams over descriptors.
 *
 * Bottom up: `libc/` has the symbol tables and errno, `layouts.ts` the C structures, `calls/` the
 * parts of {@link System}, one per file. Everything that waits is built on the {@link Poller}:
 * {@link FdStream}, {@link FdListener}, {@link Child}. No pointer leaves this directory.
 */
export { isSystemError, SystemError } from "./system_error.ts";
export { CLONE, MNT, MOUNT_ATTR, MS, O, SIG, VMADDR } from "./constants.ts";
export type { ExitStatus, Fd, Pid, SpawnCommand, System, WindowSize } from "./system.ts";
export { system } from "./real_system.ts";
export { recording } from "./recording.ts";
export { MANY_BYTES, Poller, poller } from "./poller.ts";
export { FdStream } from "./fd_stream.ts";
export { FdListener } from "./fd_listener.ts";
export { connectUnix, connectVsock } from "./connect.ts";
export { Child } from "./child.ts";
export { OUTPUT_BYTES_MAX, runProgram } from "./program.ts";
export type { Program } from "./program.ts";
export { strayObservers } from "./calls/stray_errno.ts";
export { isProcess, processStartTime } from "./proc.ts";
export {
  type NamespaceKind,
  openNamespace,
  withNamespace,
  withNewNamespaces,
} from "./namespaces.ts";
export * as netlink from "./netlink/mod.ts";
