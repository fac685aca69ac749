import { O } from "../constants.ts";
import {
  allSignals,
  fields,
  SIGSET,
  SPAWN_ATTRIBUTES,
  SPAWN_FILE_ACTIONS,
  structure,
} from "../layouts.ts";
import { systemError } from "../libc/errno.ts";
import { spawning as libc } from "../libc/spawn.ts";
import { cString, cStringArray } from "../libc/strings.ts";
import { type DescriptorPlan, planDescriptors } from "../spawn_plan.ts";
import type { Fd, Pid, SpawnCommand } from "../system.ts";
import { descriptorCalls } from "./descriptors.ts";

/** spawn.h */
const SETSIGDEF = 0x04, SETSIGMASK = 0x08, SETSID = 0x80;
const ENOENT = 2;

/**
 * posix_spawn(3) of a {@link SpawnCommand}.
 *
 * @throws {SystemError} with the program's path, or with `cwd` if that does not exist.
 */
export function spawn(command: SpawnCommand): Pid {
  const plan = planDescriptors(command.fds ?? {});
  const path = cString(command.path);
  const argv = cStringArray([command.argv0 ?? command.path, ...command.args]);
  const envp = cStringArray(environment(command.env ?? Deno.env.toObject()));
  using cleanup = new DisposableStack();
  const actions = fileActions(plan, command.cwd, cleanup);
  const attributes = spawnAttributes(command.newSession ?? false, cleanup);
  const pid = structure(4);
  const error = libc().posix_spawn(pid, path, actions, attributes, argv, envp);
  if (error !== 0) throw systemError("posix_spawn", error, culprit(command, error));
  return fields(pid).getInt32(0, true) as Pid;
}

function environment(variables: Record<string, string>): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

function fileActions(
  plan: DescriptorPlan,
  cwd: string | undefined,
  cleanup: DisposableStack,
): Uint8Array<ArrayBuffer> {
  const actions = structure(SPAWN_FILE_ACTIONS.size);
  check(libc().posix_spawn_file_actions_init(actions));
  cleanup.defer(() => libc().posix_spawn_file_actions_destroy(actions));
  if (cwd !== undefined) {
    check(libc().posix_spawn_file_actions_addchdir_np(actions, cString(cwd)));
  }
  for (const { to, from } of plan.targets) {
    const source = raise(from, plan.sourcesFrom, cleanup);
    check(libc().posix_spawn_file_actions_adddup2(actions, source, to));
  }
  for (const number of plan.close) {
    check(libc().posix_spawn_file_actions_addclose(actions, number));
  }
  check(libc().posix_spawn_file_actions_addclosefrom_np(actions, plan.closeFrom));
  return actions;
}

/** Returns a source at or above `atLeast`. `cleanup` closes a duplicate made for that. */
function raise(from: Fd | "null", atLeast: number, cleanup: DisposableStack): Fd {
  if (from !== "null") {
    return from >= atLeast ? from : closedLater(descriptorCalls.duplicate(from, atLeast), cleanup);
  }
  const opened = closedLater(descriptorCalls.open("/dev/null", O.RDWR), cleanup);
  return raise(opened, atLeast, cleanup);
}

function closedLater(fd: Fd, cleanup: DisposableStack): Fd {
  cleanup.defer(() => descriptorCalls.close(fd));
  return fd;
}

function spawnAttributes(newSession: boolean, cleanup: DisposableStack): Uint8Array<ArrayBuffer> {
  const attributes = structure(SPAWN_ATTRIBUTES.size);
  check(libc().posix_spawnattr_init(attributes));
  cleanup.defer(() => libc().posix_spawnattr_destroy(attributes));
  // Deno ignores SIGPIPE, and an ignored signal stays ignored across exec.
  check(libc().posix_spawnattr_setsigdefault(attributes, allSignals()));
  check(libc().posix_spawnattr_setsigmask(attributes, structure(SIGSET.size)));
  const flags = SETSIGDEF | SETSIGMASK | (newSession ? SETSID : 0);
  check(libc().posix_spawnattr_setflags(attributes, flags));
  return attributes;
}

/** The posix_spawn functions return their errno. */
function check(error: number): void {
  if (error !== 0) throw systemError("posix_spawn", error);
}

/** Path of an error: ENOENT may mean the program or the working directory. */
function culprit({ cwd, path }: SpawnCommand, error: number): string {
  if (error !== ENOENT || cwd === undefined) return path;
  try {
    Deno.statSync(cwd);
    return path;
  } catch {
    return cwd;
  }
}
