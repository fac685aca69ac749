import type { SystemError } from "./system_error.ts";

/**
 * Every synchronous system call that qemubox makes, in one flat interface, so that one double
 * serves all tests.
 *
 * All methods throw {@link SystemError} if the kernel returns an error, and retry EINTR themselves.
 * Every descriptor that they make is close-on-exec.
 */
export interface System {
  // Descriptors.

  /** open(2), always with O_CLOEXEC. `mode` (default 0o644) matters with O_CREAT. */
  open(path: string, flags: number, mode?: number): Fd;
  /** close(2). Rejects the waits for the descriptor in the Pollers of this process. */
  close(fd: Fd): void;
  /**
   * read(2): the number of bytes, 0 at the end of file, null if there is nothing yet (EAGAIN). Here
   * and below EAGAIN is null and not an error, because making one takes longer than the call.
   */
  read(fd: Fd, into: Uint8Array): number | null;
  /** pread(2): like `read`, but from `offset`; the descriptor's own position stays. */
  readAt(fd: Fd, into: Uint8Array, offset: number): number;
  /**
   * lseek(2) with SEEK_DATA and SEEK_HOLE: the next range of data, not a hole, at or after `from`;
   * null if there is none. Moves the descriptor's own position.
   */
  nextData(fd: Fd, from: number): { start: number; end: number } | null;
  /**
   * write(2): the number of bytes written, which may be fewer than given; null if none can be
   * written yet (EAGAIN). Throws EPIPE.
   */
  write(fd: Fd, data: Uint8Array): number | null;
  /** pipe2(2). `nonblock` (default "none") selects the ends that get O_NONBLOCK. */
  pipe(options?: PipeOptions): { read: Fd; write: Fd };
  /**
   * fcntl(2) F_SETPIPE_SZ: sets the capacity of a pipe or FIFO, which the kernel rounds up. Throws
   * EPERM above /proc/sys/fs/pipe-max-size or pipe-user-pages-soft without CAP_SYS_RESOURCE.
   */
  setPipeCapacity(fd: Fd, bytes: number): void;
  /**
   * State of a pipe or FIFO, from its write end: the number of unread bytes (FIONREAD), and whether
   * it has a reader (poll(2), POLLERR).
   */
  pipeState(fd: Fd): PipeState;
  /** mkfifo(3). The umask applies to `mode`. */
  mkfifo(path: string, mode: number): void;
  /** Sets or clears O_NONBLOCK; all duplicates of the descriptor share it. */
  setNonblock(fd: Fd, on: boolean): void;
  /** Sets or clears FD_CLOEXEC. */
  setCloexec(fd: Fd, on: boolean): void;
  /** fcntl(2) F_DUPFD_CLOEXEC: a duplicate at the lowest free number from `atLeast` (default 3). */
  duplicate(fd: Fd, atLeast?: number): Fd;
  /** flock(2) LOCK_EX|LOCK_NB: false if another open file holds the lock. */
  tryLock(fd: Fd): boolean;
  /** flock(2) LOCK_EX: blocks the event loop until it has the lock. Closing the fd releases it. */
  lock(fd: Fd): void;
  /** The type of the file that the descriptor refers to. */
  fileType(fd: Fd): FileType;
  /** memfd_create(2): an unnamed file in memory; `name` appears in /proc only. */
  memfd(name: string): Fd;

  // Readiness. Waiting is done by a Poller.

  /** epoll_create1(2). */
  epollCreate(): Fd;
  /** epoll_ctl(2). `events` are EPOLL bits; `token` comes back with an event. */
  epollControl(
    epoll: Fd,
    operation: "add" | "modify" | "remove",
    fd: Fd,
    events?: number,
    token?: bigint,
  ): void;
  /** eventfd(2), non-blocking, with the count 0. */
  eventfd(): Fd;

  // Sockets. All are made non-blocking.

  /** A listening unix(7) stream socket. Nobody can connect before the file has its `mode`. */
  listenUnix(path: string, options?: ListenUnixOptions): Fd;
  /** A connected unix(7) stream socket. Throws ENOENT, ECONNREFUSED, EAGAIN (backlog full). */
  connectUnix(path: string): Fd;
  /** A listening vsock(7) stream socket. */
  listenVsock(port: number, options?: ListenVsockOptions): Fd;
  /** A vsock(7) socket that is connecting: wait until it is writable, then call `socketError`. */
  startConnectVsock(cid: number, port: number): Fd;
  /** SO_ERROR: the pending error, or null. The call clears it. */
  socketError(fd: Fd): SystemError | null;
  /** accept4(2); null if no connection waits (EAGAIN). */
  accept(fd: Fd): Fd | null;
  /** A connected pair of unix(7) stream sockets. */
  socketPair(): [Fd, Fd];
  /** shutdown(2). */
  shutdown(fd: Fd, how: "read" | "write" | "both"): void;
  /** Sends bytes (at least one) with descriptors (SCM_RIGHTS); returns the number of bytes sent. */
  sendFds(fd: Fd, data: Uint8Array, fds: Fd[]): number;
  /**
   * Receives bytes and up to `max` (default 8) descriptors, which the caller owns. If there are
   * more, closes all of them and throws EMSGSIZE.
   */
  receiveFds(fd: Fd, into: Uint8Array, max?: number): { bytes: number; fds: Fd[] };
  /** SO_PEERCRED: the process that connected (unix(7)). */
  peerCredentials(fd: Fd): { pid: Pid; uid: number; gid: number };
  /** getpeername(2) of a vsock(7) connection. The host is VMADDR.CID_HOST. */
  vsockPeer(fd: Fd): { cid: number; port: number };
  /** The vsock context id of this machine, from /dev/vsock. */
  vsockCid(): number;

  // Networks.

  /** A non-blocking rtnetlink(7) socket of the calling thread's network namespace. */
  openRtnetlink(): Fd;
  /**
   * Opens a tap device in the calling thread's network namespace, and creates it if there is none
   * of that name ("tap%d": the kernel picks a number). Each packet has a virtio-net header. The
   * kernel removes a device that is not persistent with its last descriptor. Throws EBUSY if
   * another process has it open.
   */
  openTap(name: string, options?: TapOptions): Fd;

  // Terminals.

  /** A pty(7). The master is non-blocking; the slave does not become a controlling terminal. */
  openTerminal(): { master: Fd; slave: Fd };
  /**
   * Input of a terminal is neither changed nor echoed, and what it has is dropped (TCSETS, TCFLSH).
   * Its output stays as it is. Throws ENOTTY.
   */
  makeRaw(fd: Fd): void;
  /** TIOCGWINSZ: the window size, which master and slave share. Throws ENOTTY. */
  windowSize(fd: Fd): WindowSize;
  /** TIOCSWINSZ. If the size changes, the foreground processes get SIGWINCH. Throws ENOTTY. */
  setWindowSize(fd: Fd, size: WindowSize): void;

  // Mounts.

  /** mount(2). `data` has the options of the file system. */
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
   * mount_setattr(2), since Linux 5.12: adds MOUNT_ATTR bits to the mount at `target` and all below
   * it, and makes them private.
   */
  restrictMounts(target: string, attributes: number): void;
  /** pivot_root(2). */
  pivotRoot(newRoot: string, putOld: string): void;

  // Disks.

  /** BLKPG_ADD_PARTITION: adds a partition until the disk goes. Offset and length in bytes. */
  addPartition(disk: string, number: number, offset: number, length: number): void;
  /** BLKPG_DEL_PARTITION. Throws EBUSY if it is mounted. */
  deletePartition(disk: string, number: number): void;
  /**
   * FIFREEZE, then FITHAW at once. Resolves when everything written to the file system at `path`, a
   * directory, is in its final place on the disk and the journal is empty. Throws EOPNOTSUPP for a
   * file system without a disk, EROFS for a read-only one.
   */
  flushFileSystem(path: string): Promise<void>;

  // Processes.

  /** PR_SET_CHILD_SUBREAPER: orphaned descendants become children of this process. */
  setChildSubreaper(on: boolean): void;
  /** PR_SET_PDEATHSIG: the signal that this process gets when its parent exits, 0 for none. */
  setParentDeathSignal(signal: number): void;
  /** posix_spawn(3). */
  spawn(command: SpawnCommand): Pid;
  /**
   * waitid(2) with WEXITED|WNOHANG: null if no such child has exited yet. With `peek` the child
   * stays a zombie. Throws ECHILD if there is no such child.
   */
  waitChild(which: Pid | "any", options?: WaitOptions): ExitStatus | null;
  /** pidfd_open(2): readable once the process has exited. */
  pidfdOpen(pid: Pid): Fd;
  /** pidfd_send_signal(2). */
  pidfdSendSignal(fd: Fd, signal: number): void;
  /** kill(2). Signal 0 only checks whether the process exists. */
  kill(pid: Pid, signal: number): void;
  /** getpid(2). */
  getpid(): Pid;
  /**
   * setns(2) for the calling thread, and for what it spawns from then on. A mount namespace needs
   * `unshare(CLONE.FS)` first, because Deno has several threads.
   */
  setns(fd: Fd, type: number): void;
  /** unshare(2) for the calling thread, and for what it spawns from then on. */
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
  /** malloc_trim(3): returns the free memory of the C heap to the kernel. */
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

/** Result of {@link System.pipeState}. */
export interface PipeState {
  unreadBytes: number;
  hasReader: boolean;
}

/** The size of a terminal's window in characters, each at most 65,535. */
export interface WindowSize {
  rows: number;
  columns: number;
}

/** Type of the file that a descriptor refers to; "other" is a block device, eventfd, pidfd, … */
export type FileType = "file" | "fifo" | "socket" | "character" | "directory" | "other";

/** CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_BOOTTIME. */
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

/** Options of {@link System.openTap}; one that is absent is left as it is. */
export interface TapOptions {
  /** Fail with EBUSY if the device already exists; default false. */
  exclusive?: boolean;
  /** Whether the device outlives its last descriptor. */
  persist?: boolean;
  /** The user id that may open it without CAP_NET_ADMIN. */
  owner?: number;
  /** Size of the virtio-net header in bytes; 12 with VIRTIO_F_VERSION_1. QEMU sets it itself. */
  vnetHeaderBytes?: number;
  /**
   * TUN_F_* bits of linux/if_tun.h: the offloads (checksum, segmentation) that the reader accepts.
   */
  offloads?: number;
}

/** A command for `spawn`. The child has an empty signal mask and every signal at its default. */
export interface SpawnCommand {
  /** The program file. PATH is not searched; a relative path starts at `cwd`. */
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
   * Maps descriptor numbers of the child to ours; "null" opens /dev/null. 0, 1 and 2 default to
   * "null". Every other descriptor is closed in the child. Ours stay open here.
   */
  fds?: Record<number, Fd | "null">;
  /** setsid(2) in the child; default false. */
  newSession?: boolean;
}

/** Options of {@link System.waitChild}. */
export interface WaitOptions {
  /** Always false, for callers that want to spell it out. */
  block?: false;
  /** WNOWAIT: do not reap. */
  peek?: boolean;
}

/** Exit status of a child. */
export interface ExitStatus {
  pid: Pid;
  /** The exit code, or 128 + signal. */
  code: number;
  /** The signal that killed it, or null. */
  signal: number | null;
  /** CLOCK_REALTIME in nanoseconds when the status was collected. */
  at: bigint;
}
