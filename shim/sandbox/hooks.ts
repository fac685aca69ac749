import type { HookState, HostHooks } from "../plan/host_hooks.ts";
import {
  Child,
  type Fd,
  type Program,
  runProgram,
  SIG,
  type System,
  withNamespace,
} from "../../ffi/mod.ts";
import type { NetnsUsers } from "../../net/mod.ts";
import { messageOf, oneLine } from "../../base/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { Logger } from "../base/log.ts";
import type { OciHook } from "../plan/oci.ts";
import type { OnHost } from "../base/on_host.ts";

/** Timeout of a hook without one of its own. */
const HOOK_TIMEOUT_MS = 60_000;
/** How much of the end of a failed hook's stderr is reported. */
const STDERR_CHARACTERS_MAX = 500;

/** The surroundings of hooks. */
export interface HookHost {
  readonly system: System;
  readonly log: Pick<Logger, "warn">;
  readonly onHost?: OnHost | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Value of QEMUBOX_VM, by which stray hooks are found. */
  readonly vmName: string;
  /** setpriv(1), by which a process dies with this one. */
  readonly setprivPath: string;
}

/**
 * Runs the hooks of a container as users of its network namespace. They get the pid of a process in
 * that namespace, as they would of a container, and in the host's other namespaces.
 */
export class Hooks implements NetnsUsers {
  readonly #hooks: HostHooks;
  readonly #state: HookState;
  readonly #host: HookHost;

  constructor(hooks: HostHooks, state: HookState, host: HookHost) {
    this.#hooks = hooks;
    this.#state = state;
    this.#host = host;
  }

  /** @throws RefusedError `host` naming the hook that failed, with the end of its stderr. */
  async enter(netns: Fd): Promise<void> {
    if (this.#hooks.create.length === 0) return;
    const { system } = this.#host;
    const child = withNamespace(system, "net", netns, () => this.#placeholder());
    try {
      const state = { ...this.#state, status: "creating", pid: child.pid };
      for (const hook of this.#hooks.create) await runHook(hook, state, this.#host);
    } finally {
      child.kill(SIG.KILL);
      await child.exited;
    }
  }

  /** Tries all of them and logs failures, as the specification asks. */
  async leave(): Promise<void> {
    await endHooks(this.#hooks, this.#state, this.#host);
  }

  #placeholder(): Child {
    const { system, setprivPath, vmName } = this.#host;
    return Child.spawn({
      path: setprivPath,
      args: ["--pdeathsig", "KILL", "--", "sleep", "infinity"],
      env: { PATH: "/usr/bin:/bin", QEMUBOX_VM: vmName },
      cwd: "/",
      fds: { 0: "null", 1: "null", 2: "null" },
    }, { system });
  }
}

/** Runs the hooks after a container's delete. Never rejects. */
export async function endHooks(
  hooks: HostHooks,
  state: HookState,
  host: Omit<HookHost, "setprivPath">,
): Promise<void> {
  // Undoing goes on when the shim is told to exit.
  const { signal: _, ...patient } = host;
  for (const hook of hooks.delete) {
    try {
      await runHook(hook, { ...state, status: "stopped", pid: 0 }, patient);
    } catch (error) {
      host.log.warn(messageOf(error));
    }
  }
}

async function runHook(
  hook: OciHook,
  state: HookState & { readonly status: string; readonly pid: number },
  host: Omit<HookHost, "setprivPath">,
): Promise<void> {
  const { path, args = [], env = [], timeout } = hook;
  if (!path.startsWith("/")) throw refused(path, "has a path that is not absolute");
  const program: Program = {
    path: () => path,
    args: args.slice(1),
    env: {
      ...Object.fromEntries(env.map((one) => split(one))),
      QEMUBOX_VM: host.vmName,
    },
    input: JSON.stringify(state),
    timeoutMs: timeout === undefined ? HOOK_TIMEOUT_MS : timeout * 1000,
  };
  const { status, stderr, late } = await runProgram(program, host).catch((error) => {
    throw refused(path, `cannot be run: ${messageOf(error)}`);
  });
  host.signal?.throwIfAborted();
  if (late) throw refused(path, `did not exit within ${program.timeoutMs / 1000} s`);
  if (status.code === 0) return;
  const how = status.signal === null ? `exit status ${status.code}` : `signal ${status.signal}`;
  const said = oneLine(stderr.trim().slice(-STDERR_CHARACTERS_MAX), STDERR_CHARACTERS_MAX);
  throw refused(path, `failed with ${how}${said === "" ? "" : `: ${said}`}`);
}

function split(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function refused(path: string, why: string): RefusedError {
  return new RefusedError("host", `hook ${path} of config.json`, why);
}
