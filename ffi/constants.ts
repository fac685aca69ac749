/** Linux constants for x86-64, by their names in the C headers without the prefix. */

/** open(2) flags, from asm-generic/fcntl.h. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  /** An unnamed file in a directory. */
  TMPFILE: 0o20200000,
} as const;

/** mount(2) flags, from linux/mount.h. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  SILENT: 32768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

/** Attributes of mount_setattr(2), from linux/mount.h. */
export const MOUNT_ATTR = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
} as const;

/** umount2(2) flags, from linux/fs.h. */
export const MNT = {
  FORCE: 1,
  DETACH: 2,
  EXPIRE: 4,
  /** UMOUNT_NOFOLLOW */
  NOFOLLOW: 8,
} as const;

/** Namespace and sharing flags of unshare(2) and setns(2), from linux/sched.h. */
export const CLONE = {
  FS: 0x200,
  FILES: 0x400,
  NEWTIME: 0x80,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** Signal numbers, from asm/signal.h. */
export const SIG = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
} as const;

/** prctl(2) options, from linux/prctl.h. */
export const PRCTL = {
  SET_PDEATHSIG: 1,
  SET_CHILD_SUBREAPER: 36,
} as const;

/** Well-known vsock addresses, from linux/vm_sockets.h. */
export const VMADDR = {
  CID_ANY: 0xffffffff,
  CID_HYPERVISOR: 0,
  CID_LOCAL: 1,
  CID_HOST: 2,
  PORT_ANY: 0xffffffff,
} as const;
