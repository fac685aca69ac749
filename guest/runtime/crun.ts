import { type Fd, SIG } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { criuErrors, readCriuLog } from "./criu_log.ts";
import { crunError } from "./crun_error.ts";
import { type JsonObject } from "./oci_json.ts";
import { type OciProcess } from "./oci_process.ts";
import { type Reaper } from "../base/reaper.ts";

/** Where crun is and what it may take. */
export interface CrunOptions {
  readonly path: string;
  /** crun's state folder. */
  readonly root: string;
  /** Folder for its logs and pid files. */
  readonly scratch: string;
  /** How long one call may take. Under TCG a create takes 0.4 s. */
  readonly timeoutMs: number;
}

/** crun in the guest. */
export const CRUN: CrunOptions = {
  path: "/usr/bin/crun",
  root: "/run/crun",
  scratch: "/run/qemubox/crun",
  timeoutMs: 60_000,
};

const ENVIRONMENT = {
  // Else crun copies itself into memory and runs that, at each call, so that no container can write
  // to it. It believes this only where it lies on a read-only file system, as it does in the guest.
  _LIBCONTAINER_CLONED_BINARY: "1",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
} as const;

/** CRIU writes, or reads, all of a container's memory. */
const CRIU_TIMEOUT_MS = 600_000;

/** What of a container's processes, or of a checkpoint of them, crun is called for. */
export interface CriuCall {
  /** Where CRIU's files are, or are to be. */
  readonly folder: string;
  /** What holds for the checkpoint and its restore. */
  readonly flags: readonly string[];
}

type ChildFds = Readonly<Record<number, Fd | "null">>;

/** What crun connects a process to. */
export interface CrunStdio {
  /** The process's ends by its descriptor numbers, for {@linkcode System.spawn}. */
  readonly childFds: ChildFds;
  /** Path of the socket to which it sends the process's terminal; null: none is made. */
  readonly consoleSocket: string | null;
  /** Called when crun has its own copy of `childFds`. */
  closeChildEnds(): void;
}

/** Runs the OCI runtime. Each call is one process, which the reaper waits for. */
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
   * Makes the container and its init process, which waits for {@linkcode Crun.start}.
   *
   * @returns the init's pid. It is a child of ours now: claim it, from a nursery opened before.
   * @throws {RpcError} what crun says
   */
  async create(id: string, bundle: string, stdio: CrunStdio): Promise<number> {
    const pidFile = `${this.#options.scratch}/${id}.pid`;
    const console = consoleArguments(stdio);
    try {
      await this.#run(["create", "--bundle", bundle, "--pid-file", pidFile, ...console, id], stdio);
      return parsePid(Deno.readTextFileSync(pidFile), id);
    } finally {
      removeFile(pidFile);
    }
  }

  /**
   * Starts one more process in container `id`.
   *
   * @returns its pid. It is a child of ours now: claim it, from a nursery opened before.
   * @throws {RpcError} what crun says
   */
  async exec(id: string, process: OciProcess, stdio: CrunStdio): Promise<number> {
    const name = `${this.#options.scratch}/exec-${this.#calls}`;
    const file = `${name}.json`, pidFile = `${name}.pid`;
    const console = consoleArguments(stdio);
    const args = ["exec", "--process", file, "--detach", "--pid-file", pidFile, ...console, id];
    try {
      // It may hold secrets in its environment.
      Deno.writeTextFileSync(file, JSON.stringify(process), { mode: 0o600 });
      await this.#run(args, stdio);
      return parsePid(Deno.readTextFileSync(pidFile), id);
    } finally {
      removeFile(file);
      removeFile(pidFile);
    }
  }

  /** @throws {RpcError} what crun says */
  start(id: string): Promise<void> {
    return this.#run(["start", id]);
  }

  /**
   * Signals every process of the container.
   *
   * @throws {RpcError} what crun says; NotFound when there is no process left
   */
  killAll(id: string, signal: number): Promise<void> {
    return this.#run(["kill", "--all", id, String(signal)]);
  }

  /**
   * Changes the limits of a container to those in `resources` (runtime-spec, LinuxResources).
   *
   * @throws {RpcError} what crun says
   */
  async update(id: string, resources: JsonObject): Promise<void> {
    const file = `${this.#options.scratch}/update-${this.#calls}.json`;
    try {
      Deno.writeTextFileSync(file, JSON.stringify(resources), { mode: 0o600 });
      await this.#run(["update", "--resources", file, id]);
    } finally {
      removeFile(file);
    }
  }

  /**
   * Kills what is left of the container and forgets it. One that crun does not know is fine.
   *
   * @throws {RpcError} what crun says
   */
  async delete(id: string): Promise<void> {
    await this.#run(["delete", "--force", id]);
  }

  /**
   * Writes the container's processes into the folder `call.folder`, which is there.
   *
   * @param exit whether they end with that
   * @throws {RpcError} what crun and CRIU say: they run on
   */
  async checkpoint(id: string, call: CriuCall, exit: boolean): Promise<void> {
    const { folder, flags } = call;
    const running = exit ? [] : ["--leave-running"];
    const images = ["--image-path", folder, "--work-path", folder];
    await this.#criu(["checkpoint", ...images, ...running, ...flags, id], `${folder}/dump.log`);
  }

  /**
   * Makes the container with the processes that a checkpoint holds; they run.
   *
   * @returns the init's pid. It is a child of ours now: claim it, from a nursery opened before.
   * @throws {RpcError} what crun and CRIU say
   */
  async restore(id: string, bundle: string, call: CriuCall, stdio: CrunStdio): Promise<number> {
    const { folder, flags } = call;
    const pidFile = `${this.#options.scratch}/${id}.pid`;
    const images = ["--image-path", folder, "--work-path", folder];
    const how = ["--detach", "--bundle", bundle, "--pid-file", pidFile, ...consoleArguments(stdio)];
    try {
      const args = ["restore", ...images, ...how, ...flags, id];
      await this.#criu(args, `${folder}/restore.log`, stdio);
      return parsePid(Deno.readTextFileSync(pidFile), id);
    } finally {
      removeFile(pidFile);
    }
  }

  /** crun only names CRIU's log, which nobody outside of the guest can read. */
  async #criu(args: string[], log: string, stdio: CrunStdio | null = null): Promise<void> {
    try {
      await this.#run(args, stdio, CRIU_TIMEOUT_MS);
    } catch (error) {
      const why = criuErrors(readCriuLog(log));
      if (why === "" || !(error instanceof RpcError)) throw error;
      throw new RpcError(error.code, `${error.message}: ${why}`);
    }
  }

  /** A path for a socket to be {@linkcode CrunStdio.consoleSocket}; each is given once. */
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
    try {
      const crun = this.#reaper.spawn({
        path,
        args: ["--root", root, "--log", log, "--log-format", "json", ...args],
        env: ENVIRONMENT,
        cwd: "/",
        fds: stdio?.childFds ?? NO_FDS,
      });
      stdio?.closeChildEnds();
      const timedOut = Promise.withResolvers<"timed out">();
      const deadline = setTimeout(() => timedOut.resolve("timed out"), timeoutMs);
      const end = await Promise.race([crun.exited, timedOut.promise]);
      clearTimeout(deadline);
      if (end === "timed out") {
        this.#reaper.kill(crun, SIG.KILL);
        await crun.exited;
        throw new RpcError(
          Code.DeadlineExceeded,
          `crun ${args[0]} did not end within ${timeoutMs / 1_000} s`,
        );
      }
      if (end.code !== 0) throw crunError(args[0] as string, end, readLog(log));
    } finally {
      removeFile(log);
    }
  }
}

const NO_FDS: ChildFds = { 0: "null", 1: "null", 2: "null" };

function consoleArguments({ consoleSocket }: CrunStdio): string[] {
  return consoleSocket === null ? [] : ["--console-socket", consoleSocket];
}

/** Most of crun's log that is read. */
const LOG_BYTES_MAX = 65_536;

function readLog(path: string): string {
  try {
    using file = Deno.openSync(path);
    const buffer = new Uint8Array(LOG_BYTES_MAX);
    return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
  } catch {
    return ""; // crun died before it opened it
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // crun did not get as far as making it.
  }
}

function parsePid(text: string, id: string): number {
  const pid = /^[1-9][0-9]{0,9}\n?$/.test(text) ? Number(text) : 0;
  if (pid <= 1) throw new RpcError(Code.Internal, `crun wrote no pid in container ${id}`);
  return pid;
}
