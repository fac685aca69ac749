import { lazyLibrary } from "./library.ts";

/** spawn.h. These functions return the errno and do not set it. */
export const spawning = lazyLibrary({
  // int posix_spawn(pid_t *, const char *, const posix_spawn_file_actions_t *,
  //   const posix_spawnattr_t *, char *const[], char *const[])
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  // int (posix_spawn_file_actions_t *)
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  // int (posix_spawn_file_actions_t *)
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  // int (posix_spawn_file_actions_t *, int, int)
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  // int (posix_spawn_file_actions_t *, int)
  posix_spawn_file_actions_addclose: { parameters: ["buffer", "i32"], result: "i32" },
  // int (posix_spawn_file_actions_t *, int), glibc 2.34
  posix_spawn_file_actions_addclosefrom_np: { parameters: ["buffer", "i32"], result: "i32" },
  // int (posix_spawn_file_actions_t *, const char *), glibc 2.29
  posix_spawn_file_actions_addchdir_np: { parameters: ["buffer", "buffer"], result: "i32" },
  // int (posix_spawnattr_t *)
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  // int (posix_spawnattr_t *)
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" },
  // int (posix_spawnattr_t *, short)
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
  // int (posix_spawnattr_t *, const sigset_t *)
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
  // int (posix_spawnattr_t *, const sigset_t *)
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" },
});
