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
import { Code, RpcError } from "../../proto/mod.ts";
import type { Logger } from "../base/log.ts";
import type { OciHook } from "../plan/oci.ts";
import type { OnHost } from "../base/on_host.ts";

/** How long one hook may take that does not say so itself. Milliseconds. */
const HOOK_TIMEOUT_MS = 60_000;
/** Of what a hook that failed said last. */
const SAID_CHARACTERS_MAX = 500;

/** What running them needs of its surroundings. */
export interface HookHost {
  readonly system: System;
  readonly log: Pick<Logger, "warn">;
  readonly onHost?: OnHost | undefined;
  readonly signal?: AbortSignal | undefined;
  /** By which stray ones are found: QEMUBOX_VM. */
  readonly vmName: string;
  /** By which a process dies with this one. */
  readonly setprivPath: string;
}

/**
 * Runs the hooks of a container as users of its network namespace. They are given a process that is in
 * it, as a container's would be, and in the host's other namespaces.
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

  /** @throws RpcError FailedPrecondition naming the hook that failed, and what it said. */
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

  /** All of them are tried; what fails is logged, as the specification has it. */
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

/** Runs what is to be run at a container's end. Never rejects. */
export async function endHooks(
  hooks: HostHooks,
  state: HookState,
  host: Omit<HookHost, "setprivPath">,
): Promise<void> {
  // What is undone is not given up because the shim is told to end.
  const { signal: _, ...patient } = host;
  for (const hook of hooks.delete) {
    try {
      await runHook(hook, { ...state, status: "stopped", pid: 0 }, patient);
    } catch (error) {
      host.log.warn((error as Error).message);
    }
  }
}

async function runHook(
  hook: OciHook,
  state: HookState & { readonly status: string; readonly pid: number },
  host: Omit<HookHost, "setprivPath">,
): Promise<void> {
  const { path, args = [], env = [], timeout } = hook;
  if (!path.startsWith("/")) throw refusal(path, "its path is not absolute");
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
    throw refusal(path, (error as Error).message);
  });
  host.signal?.throwIfAborted();
  if (late) throw refusal(path, `it did not end within ${program.timeoutMs / 1000} s`);
  if (status.code === 0) return;
  const how = status.signal === null ? `exit status ${status.code}` : `signal ${status.signal}`;
  throw refusal(path, `${how}: ${stderr.trim().slice(-SAID_CHARACTERS_MAX)}`);
}

function split(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function refusal(path: string, why: string): RpcError {
  return new RpcError(Code.FailedPrecondition, `hook ${path} of config.json: ${why}`);
}
