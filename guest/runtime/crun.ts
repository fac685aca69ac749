import { endsWithin, ifPresent, removeIfPresent } from "../../base/mod.ts";
import { type Fd, SIG } from "../../ffi/mod.ts";
import { Code, encodeOciJson, RpcError } from "../../proto/mod.ts";
import { criuErrors, readCriuLog } from "./criu_log.ts";
import { crunError } from "./crun_error.ts";
import { type JsonObject } from "./oci_json.ts";
import { type OciProcess } from "./oci_process.ts";
import { type Reaper } from "../base/reaper.ts";

/** crun in the guest. */
export const CRUN: CrunOptions = {
  path: "/usr/bin/crun",
  root: "/run/crun",
  scratch: "/run/qemubox/crun",
  timeoutMs: 60_000,
};

const ENVIRONMENT = {
  // Otherwise crun runs a copy of itself in memory, at each call, so that no container can write to
  // it. It honors this only on a read-only file system, which the guest's root is.
  _LIBCONTAINER_CLONED_BINARY: "1",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
} as const;

/** CRIU writes or reads all of a container's memory. */
const CRIU_TIMEOUT_MS = 600_000;

/** The OCI runtime. Each call runs one process, which the reaper waits for. */
export class Crun {
  readonly #reaper: Reaper;
  readonly #options: CrunOptions;
  #calls = 0;
  #consoles = 0;

  constructor(reaper: Reaper, options: CrunOptions = CRUN) {
    this.#reaper = reaper;
    this.#options = options;
    Deno.mkdirSync(options.root, { recursive: true, mode: 0o700 });
    Deno.mkdirSync(options.scratch, { recursive: true, mode: 0o700 });
  }

  /**
   * Creates the container and its init process, which waits for {@linkcode Crun.start}.
   *
   * @returns the init's pid, now a child of PID 1: claim it from a nursery opened before the call
   * @throws {RpcError} crun's error, or DeadlineExceeded
   */
  async create(id: string, bundle: string, stdio: CrunStdio): Promise<number> {
    const pidFile = `${this.#options.scratch}/${id}.pid`;
    using undo = new DisposableStack();
    undo.defer(() => removeIfPresent(pidFile));
    const args = ["--bundle", bundle, "--pid-file", pidFile, ...consoleArguments(stdio)];
    await this.#run(["create", ...args, id], stdio);
    return parsePid(Deno.readTextFileSync(pidFile), id);
  }

  /**
   * Starts an exec process in container `id`.
   *
   * @returns its pid, now a child of PID 1: claim it from a nursery opened before the call
   * @throws {RpcError} crun's error, or DeadlineExceeded
   */
  async exec(id: string, process: OciProcess, stdio: CrunStdio): Promise<number> {
    const name = `${this.#options.scratch}/exec-${this.#calls}`;
    const file = `${name}.json`, pidFile = `${name}.pid`;
    using undo = new DisposableStack();
    undo.defer(() => removeIfPresent(file));
    undo.defer(() => removeIfPresent(pidFile));
    // Its environment may hold secrets.
    Deno.writeFileSync(file, encodeOciJson(process), { mode: 0o600 });
    const args = ["--process", file, "--detach", "--pid-file", pidFile, ...consoleArguments(stdio)];
    await this.#run(["exec", ...args, id], stdio);
    return parsePid(Deno.readTextFileSync(pidFile), id);
  }

  /** @throws {RpcError} crun's error, or DeadlineExceeded */
  start(id: string): Promise<void> {
    return this.#run(["start", id]);
  }

  /**
   * Signals every process of the container.
   *
   * @throws {RpcError} crun's error: NotFound if no process is left; or DeadlineExceeded
   */
  killAll(id: string, signal: number): Promise<void> {
    return this.#run(["kill", "--all", id, String(signal)]);
  }

  /**
   * Changes the limits of a container to those in `resources` (runtime-spec, LinuxResources).
   *
   * @throws {RpcError} crun's error, or DeadlineExceeded
   */
  async update(id: string, resources: JsonObject): Promise<void> {
    const file = `${this.#options.scratch}/update-${this.#calls}.json`;
    using undo = new DisposableStack();
    undo.defer(() => removeIfPresent(file));
    Deno.writeFileSync(file, encodeOciJson(resources), { mode: 0o600 });
    await this.#run(["update", "--resources", file, id]);
  }

  /**
   * Kills the container's remaining processes and deletes it. An unknown container is not an error.
   *
   * @throws {RpcError} crun's error, or DeadlineExceeded
   */
  async delete(id: string): Promise<void> {
    await this.#run(["delete", "--force", id]);
  }

  /**
   * Writes the container's processes into `call.directory`, which must exist.
   *
   * @param exit whether the processes exit afterwards
   * @throws {RpcError} crun's error with CRIU's, and the processes continue; or DeadlineExceeded
   */
  async checkpoint(id: string, call: CriuCall, exit: boolean): Promise<void> {
    const { directory, flags } = call;
    const running = exit ? [] : ["--leave-running"];
    const images = ["--image-path", directory, "--work-path", directory];
    await this.#criu(["checkpoint", ...images, ...running, ...flags, id], `${directory}/dump.log`);
  }

  /**
   * Creates the container with the processes of a checkpoint, which run at once.
   *
   * @returns the init's pid, now a child of PID 1: claim it from a nursery opened before the call
   * @throws {RpcError} crun's error with CRIU's, or DeadlineExceeded
   */
  async restore(id: string, bundle: string, call: CriuCall, stdio: CrunStdio): Promise<number> {
    const { directory, flags } = call;
    const pidFile = `${this.#options.scratch}/${id}.pid`;
    using undo = new DisposableStack();
    undo.defer(() => removeIfPresent(pidFile));
    const images = ["--image-path", directory, "--work-path", directory];
    const how = ["--detach", "--bundle", bundle, "--pid-file", pidFile, ...consoleArguments(stdio)];
    const args = ["restore", ...images, ...how, ...flags, id];
    await this.#criu(args, `${directory}/restore.log`, stdio);
    return parsePid(Deno.readTextFileSync(pidFile), id);
  }

  /**
   * Adds CRIU's errors to crun's, which only names a log that nobody outside the guest can read.
   */
  async #criu(args: string[], log: string, stdio: CrunStdio | null = null): Promise<void> {
    try {
      await this.#run(args, stdio, CRIU_TIMEOUT_MS);
    } catch (error) {
      const why = criuErrors(readCriuLog(log));
      if (why === "" || !(error instanceof RpcError)) throw error;
      throw new RpcError(error.code, `${error.message}: ${why}`);
    }
  }

  /** Returns an unused path for a {@linkcode CrunStdio.consoleSocket}. */
  consolePath(): string {
    return `${this.#options.scratch}/console-${this.#consoles++}`;
  }

  async #run(
    args: string[],
    stdio: CrunStdio | null = null,
    timeoutMs: number = this.#options.timeoutMs,
  ): Promise<void> {
    const { path, root, scratch } = this.#options;
    const log = `${scratch}/call-${this.#calls++}.log`;
    using undo = new DisposableStack();
    undo.defer(() => removeIfPresent(log));
    const crun = this.#reaper.spawn({
      path,
      args: ["--root", root, "--log", log, "--log-format", "json", ...args],
      env: ENVIRONMENT,
      cwd: "/",
      fds: stdio?.childFds ?? NO_FDS,
    });
    stdio?.closeChildEnds();
    const isInTime = await endsWithin(crun.exited, timeoutMs);
    if (!isInTime) this.#reaper.kill(crun, SIG.KILL);
    const exit = await crun.exited;
    if (!isInTime) {
      const why = `crun ${args[0]} did not exit within ${timeoutMs / 1_000} s`;
      throw new RpcError(Code.DeadlineExceeded, why);
    }
    if (exit.code !== 0) throw crunError(args[0] as string, exit, readLog(log));
  }
}

/** Paths and limits of crun. */
export interface CrunOptions {
  /** The executable. */
  readonly path: string;
  /** crun's state directory. */
  readonly root: string;
  /** Directory for its logs, pid files and sockets. */
  readonly scratch: string;
  /** Limit of one call. Under TCG a create takes 0.4 s. */
  readonly timeoutMs: number;
}

/** A checkpoint for `Crun.checkpoint` and `Crun.restore`. */
export interface CriuCall {
  /** Directory of CRIU's files. */
  readonly directory: string;
  /** crun's flags, the same for the checkpoint and its restore. */
  readonly flags: readonly string[];
}

type ChildFds = Readonly<Record<number, Fd | "null">>;

/** The streams that crun connects a process to. */
export interface CrunStdio {
  /** The process's ends, by its descriptor numbers, for {@linkcode System.spawn}. */
  readonly childFds: ChildFds;
  /** Path of the socket that receives the process's terminal; null for a process without one. */
  readonly consoleSocket: string | null;
  /** Called when crun has its own copies of `childFds`. */
  closeChildEnds(): void;
}

const NO_FDS: ChildFds = { 0: "null", 1: "null", 2: "null" };

function consoleArguments({ consoleSocket }: CrunStdio): string[] {
  return consoleSocket === null ? [] : ["--console-socket", consoleSocket];
}

/** Limit of a read of crun's log. */
const LOG_BYTES_MAX = 65_536;

/** Returns crun's log, or "" if crun died before it opened it. */
function readLog(path: string): string {
  return ifPresent(() => {
    using file = Deno.openSync(path);
    const buffer = new Uint8Array(LOG_BYTES_MAX);
    return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
  }) ?? "";
}

function parsePid(text: string, id: string): number {
  const pid = /^[1-9][0-9]{0,9}\n?$/.test(text) ? Number(text) : 0;
  if (pid <= 1) throw new RpcError(Code.Internal, `crun wrote no pid for container ${id}`);
  return pid;
}
