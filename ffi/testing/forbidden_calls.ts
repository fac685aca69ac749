/** System calls that qemubox never makes: a program that was taken over tries them. @module */
import { CLONE } from "../constants.ts";
import { checked } from "../libc/errno.ts";
import { lazyLibrary } from "../libc/library.ts";
import { sockets } from "../libc/sockets.ts";

const AF = { inet: 2, packet: 17 } as const;
const SOCK_RAW = 3, IPPROTO_ICMP = 1, SIGCHLD = 17;
const SYS_CLONE = 56n, SYS_EXIT_GROUP = 231n;

const library = lazyLibrary({
  // long syscall(long, ...)
  syscall: { parameters: ["i64", "u64", "u64", "u64", "u64", "u64"], result: "i32" },
});

/** Opens a socket for raw packets. @throws {SystemError} EPERM without CAP_NET_RAW. */
export function openRawSocket(family: keyof typeof AF): void {
  checked("socket", () => sockets().socket(AF[family], SOCK_RAW, IPPROTO_ICMP));
}

/** Makes a process in a user namespace of its own, where it would have all capabilities. */
export function makeUserNamespace(): void {
  makeProcess(CLONE.NEWUSER);
}

/**
 * Makes a process, which exits at once. unshare(2) is no way to new namespaces: Deno has threads.
 *
 * @throws {SystemError} EAGAIN above the limit of processes; EPERM for a namespace.
 */
export function makeProcess(flags = 0): void {
  const { syscall } = library();
  const wanted = BigInt(flags | SIGCHLD);
  const pid = checked("clone", () => syscall(SYS_CLONE, wanted, 0n, 0n, 0n, 0n));
  // Only this thread is in the new process: it must not run anything else.
  if (pid === 0) syscall(SYS_EXIT_GROUP, 0n, 0n, 0n, 0n, 0n);
}
