/** The import rules. ARCHITECTURE.md prints both tables; architecture.ts compares them. */

/**
 * Top directory → the other top directories that it may import. A directory that is not listed may
 * import anything.
 */
export const DIRECTORIES: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: ["base"],
  ffi: ["base"],
  qemu: ["ffi", "base"],
  net: ["ffi", "base"],
  shim: ["qemu", "net", "proto", "ffi", "base"],
  guest: ["proto", "ffi", "base"],
  build: ["scripts", "base"],
};

/** Room of the files that lie directly in a directory with rooms. */
export const MAIN_ROOM = "main";

/**
 * Top directory → its rooms, top to bottom. A room is a directory with all below it; its files
 * import from their own room and from rooms further down.
 */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  shim: [
    MAIN_ROOM,
    "commands",
    "task",
    "cleanup",
    "sandbox",
    "storage",
    "guest_client",
    "stdio",
    "plan",
    "lease",
    "config",
    "base",
  ],
  guest: [
    MAIN_ROOM,
    "services",
    "scaling",
    "container",
    "stdio",
    "cgroup",
    "system",
    "bundle",
    "runtime",
    "base",
  ],
};

/** Directories of this name hold what only tests use. */
export const TESTING = "testing";
