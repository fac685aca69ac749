import type { SystemError } from "./system_error.ts";

/**
 * Every synchronous system call that qemubox makes, in one flat interface, so that one double serves
 * all tests.
 *
 * All methods throw {@link SystemError} when the kernel refuses, and retry EINTR themselves. Every
 * descriptor that they make is close-on-exec.
 */
export interface System {
  // Descriptors.

  /** open(2), always with O_CLOEXEC. `mode` (default 0o644) matters with O_CREAT. */
  open(path: string, flags: number, mode?: number): Fd;
  /** close(2). What waits for the descriptor in a Poller of this process is rejected. */
  close(fd: Fd): void;
  /**
   * read(2): the number of bytes, 0 at the end of file, null when there is nothing yet (EAGAIN). Null and
   * no error, here and below: making one takes longer than the call.
   */
  read(fd: Fd, into: Uint8Array): number | null;
  /** pread(2): as `read`, from `offset`; the descriptor's own position stays. */
  readAt(fd: Fd, into: Uint8Array, offset: number): number;
  /**
   * lseek(2) with SEEK_DATA and SEEK_HOLE: the next part of a file at or behind `from` that is no hole;
   * null when there is none. The descriptor's own position is moved.
   */
  nextData(fd: Fd, from: number): { start: number; end: number } | null;
  /**
   * write(2): the number of bytes taken, which may be fewer than given; null when none can be taken yet
   * (EAGAIN). Throws EPIPE.
   */
  write(fd: Fd, data: Uint8Array): number | null;
  /** pipe2(2). `nonblock` (default "none") says which ends get O_NONBLOCK. */
  pipe(options?: PipeOptions): { read: Fd; write: Fd };
  /**
   * fcntl(2) F_SETPIPE_SZ: how many bytes a pipe or FIFO holds, rounded up by the kernel. Throws EPERM
   * above /proc/sys/fs/pipe-max-size or pipe-user-pages-soft without CAP_SYS_RESOURCE.
   */
  setPipeCapacity(fd: Fd, bytes: number): void;
  /**
   * The writing end of a pipe or FIFO: how many bytes nobody has read yet (FIONREAD), and whether there
   * is anybody who could (poll(2), POLLERR).
   */
  pipeState(fd: Fd): PipeState;
  /** mkfifo(3). The umask applies to `mode`. */
  mkfifo(path: string, mode: number): void;
  /** Sets or clears O_NONBLOCK; all duplicates of the descriptor share it. */
  setNonblock(fd: Fd, on: boolean): void;
  /** Sets or clears FD_CLOEXEC. */
  setCloexec(fd: Fd, on: boolean): void;
  /** A duplicate at the lowest free number that is at least `atLeast` (default 3). */
  duplicate(fd: Fd, atLeast?: number): Fd;
  /** flock(2) LOCK_EX|LOCK_NB: false when somebody else holds the lock. */
  tryLock(fd: Fd): boolean;
  /** flock(2) LOCK_EX: blocks the event loop until the lock is had. Closing the fd releases it. */
  lock(fd: Fd): void;
  /** What the descriptor refers to. */
  fileType(fd: Fd): FileType;
  /** memfd_create(2): an unnamed file in memory; `name` is seen in /proc alone. */
  memfd(name: string): Fd;

  // Readiness; what waits is a Poller.

  /** epoll_create1(2). */
  epollCreate(): Fd;
  /** epoll_ctl(2). `events` are EPOLL bits, `token` is what comes back with an event. */
  epollControl(
    epoll: Fd,
    operation: "add" | "modify" | "remove",
    fd: Fd,
    events?: number,
    token?: bigint,
  ): void;
  /** eventfd(2), non-blocking, at 0. */
  eventfd(): Fd;

  // Sockets. All are made non-blocking.

  /** A listening unix(7) stream socket. It is not connectable before it has its `mode`. */
  listenUnix(path: string, options?: ListenUnixOptions): Fd;
  /** A connected unix(7) stream socket. Throws ENOENT, ECONNREFUSED, EAGAIN (backlog full). */
  connectUnix(path: string): Fd;
  /** A listening vsock(7) stream socket. */
  listenVsock(port: number, options?: ListenVsockOptions): Fd;
  /** A vsock(7) socket that is connecting: wait until it is writable, then ask `socketError`. */
  startConnectVsock(cid: number, port: number): Fd;
  /** SO_ERROR: the pending error, which is cleared by asking, or null. */
  socketError(fd: Fd): SystemError | null;
  /** accept4(2); null when nobody waits (EAGAIN). */
  accept(fd: Fd): Fd | null;
  /** A connected pair of unix(7) stream sockets. */
  socketPair(): [Fd, Fd];
  /** shutdown(2). */
  shutdown(fd: Fd, how: "read" | "write" | "both"): void;
  /** Sends bytes (at least one) with descriptors (SCM_RIGHTS); the number of bytes taken. */
  sendFds(fd: Fd, data: Uint8Array, fds: Fd[]): number;
  /**
   * Receives bytes and up to `max` (default 8) descriptors, which the caller owns. More descriptors
   * than that are closed, all of them, and EMSGSIZE thrown.
   */
  receiveFds(fd: Fd, into: Uint8Array, max?: number): { bytes: number; fds: Fd[] };
  /** SO_PEERCRED: who connected (unix(7)). */
  peerCredentials(fd: Fd): { pid: Pid; uid: number; gid: number };
  /** Who connected (vsock(7)): the host is VMADDR.CID_HOST. */
  vsockPeer(fd: Fd): { cid: number; port: number };
  /** The vsock context id of this machine, from /dev/vsock. */
  vsockCid(): number;

  // Networks.

  /** A non-blocking rtnetlink(7) socket of the calling thread's network namespace. */
  openRtnetlink(): Fd;
  /**
   * A tap device of the calling thread's network namespace: made if there is none of that name
   * ("tap%d": the kernel picks a number). Each packet has a virtio-net header. One that is not
   * persistent is gone with its last descriptor. Throws EBUSY when another process has it.
   */
  openTap(name: string, options?: TapOptions): Fd;

  // Terminals.

  /** A pseudoterminal (pty(7)): its master does not block, its slave is nobody's controlling one. */
  openTerminal(): { master: Fd; slave: Fd };
  /** The window size, which both sides of a terminal share. Throws ENOTTY. */
  windowSize(fd: Fd): WindowSize;
  /** Sets it; when it is another one, the foreground processes get SIGWINCH. Throws ENOTTY. */
  setWindowSize(fd: Fd, size: WindowSize): void;

  // Mounts.

  /** mount(2). `data` are the options of the file system. */
  mount(
    source: string,
    target: string,
    fstype: string | null,
    flags: number,
    data?: string | null,
  ): void;
  /** umount2(2). */
  unmount(target: string, flags?: number): void;
  /**
   * mount_setattr(2): gives the mount at `target`, and all below it, MOUNT_ATTR bits more, and makes
   * them private. Since Linux 5.12.
   */
  restrictMounts(target: string, attributes: number): void;
  /** pivot_root(2). */
  pivotRoot(newRoot: string, putOld: string): void;

  // Disks.

  /** BLKPG_ADD_PARTITION: a part of a disk becomes a partition, until the disk is gone. Bytes. */
  addPartition(disk: string, number: number, offset: number, length: number): void;
  /** BLKPG_DEL_PARTITION. Throws EBUSY when it is mounted. */
  deletePartition(disk: string, number: number): void;
  /**
   * FIFREEZE, and FITHAW at once: resolves when all that was written to the file system at `path`, a
   * folder, is on its disk in its own place, and the journal is empty. Throws EOPNOTSUPP for one that
   * has no disk, EROFS for one that cannot be written to.
   */
  flushFileSystem(path: string): Promise<void>;

  // Processes.

  /** PR_SET_CHILD_SUBREAPER: orphaned descendants become children of this process. */
  setChildSubreaper(on: boolean): void;
  /** PR_SET_PDEATHSIG: the signal that this process gets when its parent dies, 0 for none. */
  setParentDeathSignal(signal: number): void;
  /** posix_spawn(3). */
  spawn(command: SpawnCommand): Pid;
  /**
   * waitid(2) with WEXITED|WNOHANG: null when no such child has exited yet. With `peek` the child
   * is left a zombie. Throws ECHILD when there is no such child.
   */
  waitChild(which: Pid | "any", options?: WaitOptions): ExitStatus | null;
  /** pidfd_open(2): readable once the process has exited. */
  pidfdOpen(pid: Pid): Fd;
  /** pidfd_send_signal(2). */
  pidfdSendSignal(fd: Fd, signal: number): void;
  /** kill(2). Signal 0 only asks. */
  kill(pid: Pid, signal: number): void;
  /** getpid(2). */
  getpid(): Pid;
  /**
   * setns(2) for the calling thread; what is spawned later follows it. A mount namespace needs
   * `unshare(CLONE.FS)` first, because Deno has several threads.
   */
  setns(fd: Fd, type: number): void;
  /** unshare(2) for the calling thread; what is spawned later follows it. */
  unshare(flags: number): void;
  /** reboot(2). Does not sync. */
  reboot(command: "power-off" | "restart" | "halt"): void;
  /** sync(2). */
  sync(): void;
  /** sethostname(2). */
  setHostname(name: string): void;
  /** clock_settime(2) of CLOCK_REALTIME. */
  setClock(unixNanoseconds: bigint): void;
  /** clock_gettime(2), in nanoseconds. */
  clock(id: ClockId): bigint;
  /** malloc_trim(3): gives what the C heap holds free back to the kernel. */
  trimHeap(): void;
}

/** A file descriptor of this process. Branded, so that no plain number passes for one. */
export type Fd = number & { readonly __brand: "Fd" };

/** A process id, in the pid namespace of this process. Branded like {@link Fd}. */
export type Pid = number & { readonly __brand: "Pid" };

/** Options of {@link System.pipe}. */
export interface PipeOptions {
  /** The ends that get O_NONBLOCK; default "none". */
  nonblock?: "none" | "both" | "read" | "write";
}

/** What {@link System.pipeState} says. */
export interface PipeState {
  unreadBytes: number;
  hasReader: boolean;
}

/** The size of a terminal's window in characters, each at most 65,535. */
export interface WindowSize {
  rows: number;
  columns: number;
}

/** What kind of file a descriptor refers to; "other" is a block device, eventfd, pidfd, … */
export type FileType = "file" | "fifo" | "socket" | "character" | "directory" | "other";

/** CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME. */
export type ClockId = "realtime" | "monotonic" | "process-cpu" | "boottime";

/** Options of {@link System.listenUnix}. */
export interface ListenUnixOptions {
  /** Connections that may wait to be accepted; default 128. */
  backlog?: number;
  /** Permission bits of the socket file, whatever the umask; default: the umask decides. */
  mode?: number;
}

/** Options of {@link System.listenVsock}. */
export interface ListenVsockOptions {
  /** The context id to listen on; default VMADDR.CID_ANY. */
  cid?: number;
  /** Connections that may wait to be accepted; default 128. */
  backlog?: number;
}

/** Options of {@link System.openTap}; what is left out stays as it is. */
export interface TapOptions {
  /** Refuse (EBUSY) a device that there already is; default false. */
  exclusive?: boolean;
  /** Whether the device stays when no descriptor of it is open. */
  persist?: boolean;
  /** The user id that may open it without CAP_NET_ADMIN. */
  owner?: number;
  /** Size of the virtio-net header; 12 with VIRTIO_F_VERSION_1. QEMU sets it itself. */
  vnetHeaderBytes?: number;
  /** TUN_F_* bits of linux/if_tun.h: what the reader takes without it being cut up or summed. */
  offloads?: number;
}

/** What `spawn` runs. The child has an empty signal mask and every signal at its default. */
export interface SpawnCommand {
  /** The program file. There is no search along PATH; a relative one starts at `cwd`. */
  path: string;
  /** The arguments without argv[0]. */
  args: string[];
  /** argv[0]; default `path`. */
  argv0?: string;
  /** The whole environment; default: that of this process. */
  env?: Record<string, string>;
  /** The child's working directory; default: ours. */
  cwd?: string;
  /**
   * Child descriptor number to ours; "null" opens /dev/null. 0, 1 and 2 default to "null". Every
   * other descriptor is closed. Ours stay open here.
   */
  fds?: Record<number, Fd | "null">;
  /** setsid(2) in the child; default false. */
  newSession?: boolean;
}

/** Options of {@link System.waitChild}. */
export interface WaitOptions {
  /** It never blocks; there to be seen in the call. */
  block?: false;
  /** WNOWAIT: do not reap. */
  peek?: boolean;
}

/** How a child ended. */
export interface ExitStatus {
  pid: Pid;
  /** The exit code, or 128 + signal. */
  code: number;
  /** The signal that killed it, or null. */
  signal: number | null;
  /** CLOCK_REALTIME in nanoseconds when the status was collected. */
  at: bigint;
}
